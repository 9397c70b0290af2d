// Takes jobs as lines of JSON, several at a time, and answers each with a line.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
)

// A job is what to draw. One that is given again is not stored again: its image is known by ID and Created.
type job struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Prompt  string    `json:"prompt"`
	Seed    uint64    `json:"seed"`
	// Side in pixels.
	Side int `json:"side"`
}

// A result has a Filename and a URL, or an Error.
type result struct {
	ID       string `json:"id"`
	Filename string `json:"filename,omitempty"`
	URL      string `json:"url,omitempty"`
	// Replayed: the job was given before, and its image is the one of then.
	Replayed bool `json:"replayed,omitempty"`
	// Deleted: so it was, and somebody has deleted that image since.
	Deleted bool   `json:"deleted,omitempty"`
	Error   string `json:"error,omitempty"`
}

type worker struct {
	client *imagestorage.Client
	// timeout bounds the storing of one image with all its attempts.
	timeout time.Duration
}

// run works until in ends, or ctx does: images under way are stored even then. A job without an answer was not done
// and is to be given again. It fails when a job did, or when in holds anything else than jobs.
func (w *worker) run(ctx context.Context, parallel int, in io.Reader, out io.Writer) error {
	jobs, results, unread := make(chan job), make(chan result), make(chan error, 1)
	go func() {
		defer close(jobs)
		unread <- read(ctx, in, jobs)
	}()
	var working sync.WaitGroup
	for range parallel {
		working.Go(func() { w.work(ctx, jobs, results) })
	}
	go func() {
		working.Wait()
		close(results)
	}()
	failed, err := report(results, out)
	// A read that blocks does not see the end of ctx: nothing waits for it.
	select {
	case broken := <-unread:
		err = errors.Join(err, broken)
	default:
	}
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d jobs failed", failed))
	}
	return err
}

func read(ctx context.Context, in io.Reader, jobs chan<- job) error {
	for lines := json.NewDecoder(in); ; {
		var next job
		if err := lines.Decode(&next); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("not a job: %w", err)
		}
		select {
		case jobs <- next:
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *worker) work(ctx context.Context, jobs <-chan job, results chan<- result) {
	for {
		select {
		case next, more := <-jobs:
			if !more {
				return
			}
			results <- w.do(context.WithoutCancel(ctx), next)
		case <-ctx.Done():
			return
		}
	}
}

func (w *worker) do(ctx context.Context, job job) result {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	image, err := w.save(ctx, job)
	if err != nil {
		return result{ID: job.ID, Error: err.Error()}
	}
	return result{ID: job.ID, Filename: image.Filename, URL: image.URL, Replayed: image.Replayed, Deleted: image.Deleted}
}

func (w *worker) save(ctx context.Context, job job) (*imagestorage.Image, error) {
	if job.ID == "" || job.Created.IsZero() {
		return nil, errors.New("a job has an id and the time it was created")
	}
	pixels, err := draw(job)
	if err != nil {
		return nil, err
	}
	parameters, err := json.Marshal(map[string]any{"seed": job.Seed, "side": job.Side})
	if err != nil {
		return nil, err
	}
	return w.client.Save(ctx, pixels, imagestorage.Metadata{
		Prompt:     job.Prompt,
		Model:      "gradient",
		Timestamp:  job.Created,
		Parameters: parameters,
	}, imagestorage.WithIdempotencyKey(job.ID), imagestorage.WithContentType("image/png"))
}

func report(results <-chan result, out io.Writer) (failed int, err error) {
	lines := json.NewEncoder(out)
	for result := range results {
		if result.Error != "" {
			failed++
		}
		err = errors.Join(err, lines.Encode(result))
	}
	return failed, err
}

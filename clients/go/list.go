// Lists images: the iterator resumes behind the last whole batch when its stream breaks.

package imagestorage

import (
	"context"
	"io"
	"iter"
)

// List yields the images that match, newest first by default, in constant memory. It sends nothing before the first one
// is read, and resumes a lost connection where it broke. An error is yielded once, with a nil image, and is the last.
func (c *Client) List(ctx context.Context, options ListOptions) iter.Seq2[*Image, error] {
	return func(yield func(*Image, error) bool) {
		ctx, cancel := c.bounded(ctx, noTimeout)
		defer cancel()
		listing := listing{client: c, options: options, backoff: c.newBackoff(), yield: yield}
		for !listing.done {
			err := listing.read(ctx)
			if listing.done {
				return
			}
			if err := listing.backoff.wait(ctx, errorFrom(err, false)); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

type listing struct {
	client    *Client
	options   ListOptions
	pageToken string
	backoff   *retryBackoff
	yield     func(*Image, error) bool
	// complete: nothing is left. The stream is still read to its end: one that is left early is reset, and servers
	// close connections with many resets.
	complete bool
	// done: the list has ended, or its reader has stopped.
	done bool
}

// read yields images until the list is done or the stream breaks.
func (l *listing) read(ctx context.Context) error {
	stream, err := l.client.rpc.List(ctx, listRequest(l.options, l.pageToken))
	if err != nil {
		return err
	}
	for {
		batch, err := stream.Recv()
		if err == io.EOF || err != nil && l.complete {
			l.done = true
			return nil
		}
		if err != nil {
			return err
		}
		l.backoff.reset()
		if len(batch.Hints) > 0 && l.options.OnHints != nil {
			l.options.OnHints(mapped(batch.Hints, hintFrom))
		}
		for _, image := range batch.Images {
			if !l.yield(imageFrom(image), nil) {
				l.done = true
				return nil
			}
		}
		l.pageToken = batch.NextPageToken
		received := uint32(len(batch.Images))
		reachedLimit := l.options.Limit > 0 && received >= l.options.Limit
		l.options.Limit -= min(received, l.options.Limit)
		l.complete = l.pageToken == "" || reachedLimit
	}
}

// Lists images: the iterator resumes behind the last whole batch when its stream breaks.

package imagestorage

import (
	"context"
	"io"
	"iter"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

// List yields the images that match, newest first by default, in constant memory. It sends nothing before the first one
// is read, and resumes a lost connection where it broke. An error is yielded once, with a nil image, and is the last.
func (c *Client) List(ctx context.Context, options ListOptions) iter.Seq2[*Image, error] {
	start := func(ctx context.Context, pageToken string, limit uint32) (batches[*pb.ListResponse], error) {
		request := listRequest(options, pageToken)
		request.Limit = limit
		return c.rpc.List(ctx, request)
	}
	onBatch := func(batch *pb.ListResponse) {
		if len(batch.Hints) > 0 && options.OnHints != nil {
			options.OnHints(mapped(batch.Hints, hintFrom))
		}
	}
	return images(ctx, c, options.Limit, start, onBatch)
}

// A batch is a message of List or ListTrash.
type batch interface {
	GetImages() []*pb.Image
	GetNextPageToken() string
}

// batches is a stream of them.
type batches[B batch] interface{ Recv() (B, error) }

// images yields the images of all batches; a limit of 0 is all.
func images[B batch](
	ctx context.Context,
	c *Client,
	limit uint32,
	start func(ctx context.Context, pageToken string, limit uint32) (batches[B], error),
	onBatch func(B),
) iter.Seq2[*Image, error] {
	return func(yield func(*Image, error) bool) {
		ctx, cancel := c.bounded(ctx, noTimeout)
		defer cancel()
		listing := listing[B]{
			start: start, onBatch: onBatch, limit: limit, backoff: c.newBackoff(), imageFrom: c.imageFrom, yield: yield,
		}
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

type listing[B batch] struct {
	start     func(ctx context.Context, pageToken string, limit uint32) (batches[B], error)
	onBatch   func(B)
	pageToken string
	limit     uint32
	backoff   *retryBackoff
	imageFrom func(*pb.Image) *Image
	yield     func(*Image, error) bool
	// complete: nothing is left. The stream is still read to its end: one that is left early is reset, and servers
	// close connections with many resets.
	complete bool
	// done: the list has ended, or its reader has stopped.
	done bool
}

// read yields images until the list is done or the stream breaks.
func (l *listing[B]) read(ctx context.Context) error {
	stream, err := l.start(ctx, l.pageToken, l.limit)
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
		l.onBatch(batch)
		for _, image := range batch.GetImages() {
			if !l.yield(l.imageFrom(image), nil) {
				l.done = true
				return nil
			}
		}
		l.pageToken = batch.GetNextPageToken()
		received := uint32(len(batch.GetImages()))
		reachedLimit := l.limit > 0 && received >= l.limit
		l.limit -= min(received, l.limit)
		l.complete = l.pageToken == "" || reachedLimit
	}
}

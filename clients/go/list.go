// List from the client's side: an iterator that goes on behind the last whole batch when its stream breaks.

package imagestorage

import (
	"context"
	"io"
	"iter"
)

// List gives the images that match, newest first unless asked otherwise, in constant memory. Nothing is asked before
// the first one; a lost connection resumes where it broke. An error comes once, with a nil image, and is the last.
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
	// complete: nothing is left. The stream is read to its end all the same: one that is left early is reset, and
	// servers close a connection on which many are.
	complete bool
	// done: it has ended, or nobody wants it.
	done bool
}

// read goes on until it is done or the stream breaks.
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

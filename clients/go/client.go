// Package imagestorage is the client of ImageStorage, the gRPC storage daemon for generated images: it streams images
// with their prompt, model and parameters to the daemon, finds and reads them again, and retries without ever making a
// second image.
//
// Calls fail with an [*Error], except that errors of a source's Read are passed on unchanged. UNAVAILABLE, and calls
// that the daemon asks to repeat, are retried first; where no daemon was ever reached, they fail with DAEMON_UNREACHABLE
// within three seconds. The generated messages and the stub are in the package
// imagestoragev1.
package imagestorage

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

const (
	defaultTimeout = 10 * time.Minute
	noTimeout      = 0
	// The contract's limit for one call.
	maxFilenamesPerCall = 1000
)

// A Client is a connection to a daemon. It connects on the first call; goroutines may share it.
type Client struct {
	connection *grpc.ClientConn
	rpc        pb.ImageStorageClient
	settings   settings
	reach      *reach
}

// Dial returns a client of the daemon at host:port, [v6]:port, unix:PATH or, with TLS, https://host:port; empty means the
// variable IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051. It fails for an invalid address, for a file of a variable that
// cannot be read, and with TOKEN_IN_PLAINTEXT; the first call connects.
func Dial(address string, opts ...DialOption) (*Client, error) {
	settings := settings{connectTimeout: defaultConnectTimeout}
	for _, option := range opts {
		option(&settings)
	}
	target, settings, err := settings.secured(targetOf(address))
	if err != nil {
		return nil, err
	}
	connection, err := grpc.NewClient(target, settings.grpcOptions()...)
	if err != nil {
		return nil, err
	}
	settings.address = target
	reach := &reach{connection: connection, timeout: settings.connectTimeout}
	return &Client{connection, pb.NewImageStorageClient(connection), settings, reach}, nil
}

// Update changes the pin, the tags and the category of an image, and returns the image as it is then. Repeating it changes
// nothing more. It fails with IMAGE_NOT_FOUND, and with codes.Unimplemented when the daemon is older.
func (c *Client) Update(ctx context.Context, filename string, changes Changes, opts ...UpdateOption) (*Image, error) {
	request := &pb.UpdateRequest{
		Filename:   filename,
		Pinned:     changes.Pinned,
		AddTags:    changes.AddTags,
		RemoveTags: changes.RemoveTags,
		Category:   changes.Category,
	}
	for _, option := range opts {
		option.applyUpdate(request)
	}
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	answer, err := ask(ctx, c, c.rpc.Update, request, true)
	if err != nil {
		return nil, explainOlder(err, "it cannot change images")
	}
	return c.imageFrom(answer.Image), nil
}

// Delete deletes any number of images by filename, pinned ones too, and returns one result per filename, in order. An
// unknown filename is not an error: its result says so. They go into the trash, where the store has one; the results say
// until when Restore can bring them back. After a lost answer the retry reports as not found what the lost attempt deleted.
func (c *Client) Delete(ctx context.Context, filenames []string, opts ...DeleteOption) ([]DeleteResult, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	results := make([]DeleteResult, 0, len(filenames))
	for names := range slices.Chunk(filenames, maxFilenamesPerCall) {
		request := &pb.DeleteRequest{Filenames: names}
		for _, option := range opts {
			option.applyDelete(request)
		}
		answer, err := ask(ctx, c, c.rpc.Delete, request, true)
		if err != nil {
			return results, err
		}
		for _, result := range answer.Results {
			results = append(results, deleteResultFrom(result))
		}
	}
	return results, nil
}

// Stats returns the counts of one provider, or of each for "*"; empty means the default provider.
func (c *Client) Stats(ctx context.Context, provider string) ([]ProviderStats, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	answer, err := ask(ctx, c, c.rpc.Stats, &pb.StatsRequest{Provider: provider}, true)
	if err != nil {
		return nil, err
	}
	return mapped(answer.Providers, statsFrom), nil
}

// Totals counts the images that match all filters, in total and by group. It fails with codes.Unimplemented when the
// daemon is older and counts only whole providers, as Stats does.
func (c *Client) Totals(ctx context.Context, options TotalsOptions) (*Totals, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	answer, err := ask(ctx, c, c.rpc.Stats, totalsRequest(options), true)
	if err != nil {
		return nil, err
	}
	if answer.Total == nil {
		const message = "the daemon is older than totals: it counts only whole providers (Stats), whatever was asked for"
		return nil, &Error{Code: codes.Unimplemented, Message: message}
	}
	return totalsFrom(answer), nil
}

// Close closes the connection; calls and bodies in flight fail.
func (c *Client) Close() error { return c.connection.Close() }

// bounded limits the call, with all its attempts, to the client's timeout, and to that of its first connection.
func (c *Client) bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if c.settings.timeout != nil {
		timeout = *c.settings.timeout
	}
	ctx, cancel := c.reach.within(ctx)
	if timeout == noTimeout {
		return ctx, cancel
	}
	ctx, end := context.WithTimeout(ctx, timeout)
	return ctx, func() { end(); cancel() }
}

// ask makes a unary call with its retries. repeatable: a retry does no harm after an attempt that was carried out.
func ask[Request, Answer any](
	ctx context.Context,
	c *Client,
	method func(context.Context, Request, ...grpc.CallOption) (Answer, error),
	request Request,
	repeatable bool,
) (Answer, error) {
	backoff := c.newBackoff()
	for {
		var daemon peer.Peer
		answer, err := method(ctx, request, grpc.Peer(&daemon))
		if err == nil {
			return answer, nil
		}
		failed := errorFrom(err, daemon.Addr != nil)
		if failed.OutcomeUnknown && !repeatable {
			return answer, failed
		}
		if err := backoff.wait(ctx, failed); err != nil {
			return answer, err
		}
	}
}

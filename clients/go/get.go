// Reads images: the body resumes where its connection broke, and is checked at its end.

package imagestorage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

// Get returns an image and its bytes, which the caller must close. Reading a whole image ends with BYTES_CORRUPT
// instead of io.EOF when the sha256 differs: discard what was read then. The context also ends the body.
//
// It fails with IMAGE_NOT_FOUND or OFFSET_OUT_OF_RANGE.
func (c *Client) Get(ctx context.Context, filename string, opts ...GetOption) (*Image, io.ReadCloser, error) {
	request := &pb.GetRequest{Filename: filename}
	for _, option := range opts {
		option.applyGet(request)
	}
	ctx, cancel := c.bounded(ctx, noTimeout)
	body := &body{ctx: ctx, cancel: cancel, rpc: c.rpc, request: request, backoff: c.newBackoff()}
	if request.Offset == 0 && request.Limit == 0 && !request.MetadataOnly {
		body.sum = sha256.New()
	}
	if err := body.receive(); err != nil {
		cancel()
		return nil, nil, err
	}
	return c.imageFrom(body.image), body, nil
}

type body struct {
	ctx     context.Context
	cancel  context.CancelFunc
	rpc     pb.ImageStorageClient
	request *pb.GetRequest // what is left to read
	stream  grpc.ServerStreamingClient[pb.GetResponse]
	backoff *retryBackoff

	image *pb.Image
	chunk []byte
	sum   hash.Hash // nil for a range
	// complete: nothing is left to request; a limit of 0 would mean to the end.
	complete bool
	err      error
}

// Read reads the next bytes. Once the context has ended or the body was closed it drops bytes that have arrived.
func (b *body) Read(p []byte) (int, error) {
	if ended := b.ctx.Err(); ended != nil && b.err == nil {
		b.chunk, b.err = nil, errorFrom(status.FromContextError(ended).Err(), false)
	}
	for len(b.chunk) == 0 && b.err == nil && len(p) > 0 {
		b.err = b.receive()
	}
	n := copy(p, b.chunk)
	b.chunk = b.chunk[n:]
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// Close ends the call.
func (b *body) Close() error {
	b.cancel()
	return nil
}

// receive reads the next message, over as many calls as needed. It returns io.EOF after the last one.
func (b *body) receive() error {
	for {
		message, err := b.message()
		if err == nil {
			b.backoff.reset()
			b.accept(message)
			return nil
		}
		if err == io.EOF {
			return b.finish()
		}
		b.stream = nil
		if err := b.backoff.wait(b.ctx, errorFrom(err, false)); err != nil {
			return err
		}
		if b.complete {
			return b.finish()
		}
	}
}

func (b *body) message() (*pb.GetResponse, error) {
	if b.stream == nil {
		stream, err := b.rpc.Get(b.ctx, b.request)
		if err != nil {
			return nil, err
		}
		b.stream = stream
	}
	return b.stream.Recv()
}

func (b *body) accept(message *pb.GetResponse) {
	if image := message.GetImage(); image != nil {
		b.image = image
		return
	}
	b.chunk = message.GetChunk()
	size := uint64(len(b.chunk))
	b.request.Offset += size
	b.complete = b.request.Limit > 0 && size >= b.request.Limit
	b.request.Limit -= min(size, b.request.Limit)
	if b.sum != nil {
		b.sum.Write(b.chunk)
	}
}

func (b *body) finish() error {
	b.cancel()
	if b.image == nil {
		return &Error{Code: codes.Internal, Message: "the daemon answered without an image"}
	}
	if b.sum == nil || bytes.Equal(b.sum.Sum(nil), b.image.Sha256) {
		return io.EOF
	}
	message := b.image.Filename + " arrived with other bytes than were stored"
	return &Error{Code: codes.DataLoss, Reason: "BYTES_CORRUPT", Message: message}
}

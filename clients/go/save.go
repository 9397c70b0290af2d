// Sends a Save: header, chunks and trailer, and the same again on a retry.

package imagestorage

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

// Save stores one image; when it returns without an error, the image is on stable storage. It reads r to its end and
// does not close it.
//
// Timestamp and idempotency key are fixed before the first attempt, so that a retry never makes a second image. A
// source that can seek is rewound for a retry. Of another up to 64 MiB are kept; a longer one is not retried, and the
// error says so. When the error has OutcomeUnknown, a later Save with its RetryWith returns the outcome.
//
// When the call ends before r does, a Read of r may still be running. A panic of Read is passed on by Save.
func (c *Client) Save(ctx context.Context, r io.Reader, metadata Metadata, opts ...SaveOption) (*Image, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	source, err := openSource(r)
	if err != nil {
		return nil, err
	}
	header := headerOf(metadata, source, opts)
	backoff := c.newBackoff()
	outcomeUnknown := false
	for {
		answer, err := c.saveOnce(ctx, source, header)
		if err == nil {
			return c.savedImageFrom(answer), nil
		}
		if broken, ok := errors.AsType[sourceError](err); ok {
			return nil, broken.error
		}
		failed := err.(*Error)
		failed.IdempotencyKey, failed.Timestamp = header.IdempotencyKey, header.timestamp
		// A later refusal does not settle an earlier attempt that was never answered.
		outcomeUnknown = outcomeUnknown || failed.OutcomeUnknown
		failed.OutcomeUnknown = outcomeUnknown
		if failed.Retryable && !source.rewindable() {
			failed.Message += " (not tried again: the source is a stream of more than 64 MiB)"
			return nil, failed
		}
		if err := backoff.wait(ctx, failed); err != nil {
			return nil, err
		}
	}
}

func headerOf(metadata Metadata, source *source, opts []SaveOption) *saveHeader {
	header := &saveHeader{SaveHeader: &pb.SaveHeader{}, timestamp: metadata.Timestamp, progress: func(int64) {}}
	for _, option := range opts {
		option.applySave(header)
	}
	if header.timestamp.IsZero() {
		header.timestamp = time.Now()
	}
	if header.IdempotencyKey == "" {
		header.IdempotencyKey = rand.Text()
	}
	metadata.Timestamp = header.timestamp
	header.Metadata = metadataMessage(metadata)
	if source.declared != nil {
		header.Size, header.Sha256 = source.declared.Size, source.declared.Sha256
	}
	return header
}

// saveOnce fails with an *Error, or a sourceError.
func (c *Client) saveOnce(ctx context.Context, source *source, header *saveHeader) (*pb.SaveResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Save(ctx)
	if err != nil {
		return nil, errorFrom(err, false)
	}
	var answer pb.SaveResponse
	var refusal error
	answered := make(chan struct{})
	go func() {
		refusal = stream.RecvMsg(&answer)
		close(answered)
	}()
	err = sendAll(stream, source, header, answered)
	// An early answer is an error or a replayed save; neither needs the rest.
	if err != nil && err != io.EOF {
		return nil, err
	}
	<-answered
	if refusal != nil {
		return nil, errorFrom(refusal, err == nil)
	}
	return &answer, nil
}

type saveStream = grpc.ClientStreamingClient[pb.SaveRequest, pb.SaveResponse]

// sendAll fails with io.EOF when the daemon has answered before the end.
func sendAll(stream saveStream, source *source, header *saveHeader, answered <-chan struct{}) error {
	if err := send(stream, &pb.SaveRequest{Payload: &pb.SaveRequest_Header{Header: header.SaveHeader}}); err != nil {
		return err
	}
	if err := source.rewind(answered); err != nil {
		return err
	}
	sum, sentBytes := sha256.New(), int64(0)
	for {
		chunk, err := source.next(answered)
		if err == errAtEnd {
			break
		}
		if err != nil {
			return err
		}
		sum.Write(chunk)
		if err := send(stream, &pb.SaveRequest{Payload: &pb.SaveRequest_Chunk{Chunk: chunk}}); err != nil {
			return err
		}
		sentBytes += int64(len(chunk))
		header.progress(sentBytes)
	}
	trailer := &pb.SaveTrailer{Size: proto.Uint64(uint64(sentBytes)), Sha256: sum.Sum(nil)}
	if err := send(stream, &pb.SaveRequest{Payload: &pb.SaveRequest_Trailer{Trailer: trailer}}); err != nil {
		return err
	}
	return stream.CloseSend()
}

func send(stream saveStream, message *pb.SaveRequest) error {
	err := stream.Send(message)
	if err == nil || err == io.EOF {
		return err
	}
	return errorFrom(err, false)
}

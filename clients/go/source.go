// Makes the bytes of an image readable again for a second attempt, as far as that is possible.

package imagestorage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

const (
	chunkBytes = 256 * 1024
	// What is kept of a stream that cannot be read twice.
	maxKeptBytes = 64 * 1024 * 1024
)

// errAtEnd: all was read. It is not io.EOF, by which a gRPC stream says that it was answered.
var errAtEnd = errors.New("at the end")

// A sourceError is what the caller's reader says.
type sourceError struct{ error }

// A source is read once for each attempt.
type source struct {
	reader io.Reader
	// seeker is nil for what comes only once.
	seeker io.Seeker
	start  int64
	// declared is known before the first byte for bytes in memory only.
	declared *pb.SaveTrailer

	// kept is the beginning of what comes only once, as far as it was read; position is how far this attempt got in it.
	kept     []byte
	position int
	tooLong  bool

	// pending is a read under way: an attempt that is over does not wait for it, the next one does.
	pending chan piece
	err     error
}

type piece struct {
	bytes []byte
	err   error
}

func openSource(r io.Reader) (*source, error) {
	if buffer, ok := r.(*bytes.Buffer); ok {
		r = bytes.NewReader(buffer.Next(buffer.Len()))
	}
	s := &source{reader: r}
	if seeker, ok := r.(io.Seeker); ok {
		// A pipe has the method and fails.
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			s.seeker, s.start = seeker, start
		}
	}
	if memory, ok := r.(*bytes.Reader); ok {
		sum := sha256.New()
		size, _ := memory.WriteTo(sum)
		s.declared = &pb.SaveTrailer{Size: proto.Uint64(uint64(size)), Sha256: sum.Sum(nil)}
		if _, err := memory.Seek(s.start, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *source) rewindable() bool { return !s.tooLong }

// rewind starts again from the beginning; io.EOF when the call is answered before.
func (s *source) rewind(answered <-chan struct{}) error {
	s.position = 0
	if s.seeker == nil {
		return nil
	}
	if s.pending != nil {
		select {
		case <-s.pending:
			s.pending = nil
		case <-answered:
			return io.EOF
		}
	}
	s.err = nil
	if _, err := s.seeker.Seek(s.start, io.SeekStart); err != nil {
		return sourceError{err}
	}
	return nil
}

// next gives the next bytes as they come and never waits to fill a chunk: the daemon times the gaps. It fails with
// errAtEnd, with io.EOF when the call is answered before, or with a sourceError.
func (s *source) next(answered <-chan struct{}) ([]byte, error) {
	if s.position < len(s.kept) {
		chunk := s.kept[s.position:min(s.position+chunkBytes, len(s.kept))]
		s.position += len(chunk)
		return chunk, nil
	}
	for s.err == nil {
		if s.pending == nil {
			s.pending = make(chan piece, 1)
			go read(s.reader, s.pending)
		}
		select {
		case <-answered:
			return nil, io.EOF
		case read := <-s.pending:
			s.pending, s.err = nil, read.err
			if len(read.bytes) > 0 {
				s.keep(read.bytes)
				return read.bytes, nil
			}
		}
	}
	if s.err == io.EOF {
		return nil, errAtEnd
	}
	return nil, sourceError{s.err}
}

func (s *source) keep(chunk []byte) {
	if s.seeker != nil || s.tooLong {
		return
	}
	if len(s.kept)+len(chunk) > maxKeptBytes {
		s.kept, s.position, s.tooLong = nil, 0, true
		return
	}
	s.kept = append(s.kept, chunk...)
	s.position = len(s.kept)
}

func read(r io.Reader, result chan<- piece) {
	chunk := make([]byte, chunkBytes)
	n, err := r.Read(chunk)
	result <- piece{chunk[:n], err}
}

// Makes the bytes of an image readable again for a retry, as far as possible.

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
	// The most bytes to keep of a stream that can be read only once.
	maxKeptBytes = 64 * 1024 * 1024
)

// errAtEnd: the source was read to its end. Not io.EOF, by which a gRPC stream reports that it was answered.
var errAtEnd = errors.New("at the end")

// A sourceError is an error of the caller's reader.
type sourceError struct{ error }

// A source is read once for each attempt.
type source struct {
	reader io.Reader
	// seeker is nil where the bytes can be read only once.
	seeker io.Seeker
	start  int64
	// declared is set for bytes in memory, whose size and digest are known before the first one is sent.
	declared *pb.SaveTrailer

	// kept is what was read of bytes that can be read only once; position is how far this attempt got in it.
	kept     []byte
	position int
	tooLong  bool

	// pending is a running read into buffer: an attempt that has ended does not wait for it, the next one does.
	pending chan outcome
	buffer  []byte
	err     error
}

// An outcome is what a Read returned, or what it panicked with.
type outcome struct {
	n        int
	err      error
	panicked any
}

func openSource(r io.Reader) (*source, error) {
	if buffer, ok := r.(*bytes.Buffer); ok {
		r = bytes.NewReader(buffer.Next(buffer.Len()))
	}
	s := &source{reader: r, buffer: make([]byte, chunkBytes)}
	if seeker, ok := r.(io.Seeker); ok {
		// A pipe has the method, which fails.
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

// rewind starts again from the beginning. It fails with io.EOF when the call is answered first.
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

// next returns the next bytes as they come, valid until the next call. It never waits to fill a chunk, since the daemon
// limits the gaps. It fails with errAtEnd, with io.EOF when the call is answered first, or with a sourceError.
func (s *source) next(answered <-chan struct{}) ([]byte, error) {
	if s.position < len(s.kept) {
		chunk := s.kept[s.position:min(s.position+chunkBytes, len(s.kept))]
		s.position += len(chunk)
		return chunk, nil
	}
	for s.err == nil {
		if s.pending == nil {
			s.pending = make(chan outcome, 1)
			go read(s.reader, s.buffer, s.pending)
		}
		select {
		case <-answered:
			return nil, io.EOF
		case read := <-s.pending:
			if read.panicked != nil {
				panic(read.panicked)
			}
			s.pending, s.err = nil, read.err
			if read.n > 0 {
				s.keep(s.buffer[:read.n])
				return s.buffer[:read.n], nil
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

// read passes a panic on to the goroutine that called Save, where it can be recovered.
func read(r io.Reader, buffer []byte, result chan<- outcome) {
	var read outcome
	defer func() {
		read.panicked = recover()
		result <- read
	}()
	read.n, read.err = r.Read(buffer)
}

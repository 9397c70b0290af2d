// What the tests stand on: a real daemon, a proxy that breaks connections, a scripted server, and images.

package imagestorage_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

var (
	repository, _ = filepath.Abs("../..")
	node          = filepath.Join(repository, "node_modules/.bin/node")
	// shared is the daemon of all tests that keep to their own model.
	shared *daemon
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if _, err := os.Stat(node); err != nil {
		fmt.Fprintf(os.Stderr, "all tests skipped: this machine lacks %s; run npm ci\n", node)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	var err error
	if shared, err = launch(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.stop()
	os.Setenv("IMAGE_STORAGE_ADDRESS", shared.address)
	return m.Run()
}

type daemon struct {
	address, unixAddress string
	command              *exec.Cmd
	folder               string
}

// startDaemon gives the test a daemon of its own.
func startDaemon(t testing.TB) *daemon {
	t.Helper()
	d, err := launch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	return d
}

// launch runs `image-storage serve` on a new folder.
func launch() (*daemon, error) {
	folder, err := os.MkdirTemp("", "image-storage-go-")
	if err != nil {
		return nil, err
	}
	unixAddress := "unix:" + filepath.Join(folder, "daemon.sock")
	command := exec.Command(node, "bin/image-storage.js", "serve", "--listen", "127.0.0.1:0", "--listen", unixAddress,
		"--base-path", filepath.Join(folder, "outputs"), "--log-level", "error")
	command.Dir = repository
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	d := &daemon{"", unixAddress, command, folder}
	if _, err := fmt.Fscanf(output, "ImageStorage listens on %s", &d.address); err != nil {
		d.stop()
		return nil, fmt.Errorf("the daemon did not start: %w", err)
	}
	d.address = strings.TrimSuffix(d.address, ",")
	go io.Copy(io.Discard, output)
	return d, nil
}

func (d *daemon) pause() { d.command.Process.Signal(syscall.SIGSTOP) }

func (d *daemon) stop() {
	d.command.Process.Signal(syscall.SIGCONT)
	d.command.Process.Signal(syscall.SIGTERM)
	d.command.Wait()
	os.RemoveAll(d.folder)
}

// lacking: a laptop may lack it, CI must not.
func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI lacks %s", what)
	}
	t.Skipf("this machine lacks %s", what)
}

func dial(t testing.TB, address string, opts ...imagestorage.DialOption) *imagestorage.Client {
	t.Helper()
	client, err := imagestorage.Dial(address, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

type proxy struct {
	address     string
	connections atomic.Int64
}

// A breaking is told how many bytes went to the daemon and came back; true breaks the connection.
type breaking func(sent, received int64) bool

// startProxy breaks its first connections, one condition for each; later ones are left alone.
func startProxy(t testing.TB, target string, breakings ...breaking) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &proxy{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			broken := func(int64, int64) bool { return false }
			if n := int(p.connections.Add(1)); n <= len(breakings) {
				broken = breakings[n-1]
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			var sent, received atomic.Int64
			var asking sync.Mutex
			over := false
			isBroken := func() bool {
				asking.Lock()
				defer asking.Unlock()
				over = over || broken(sent.Load(), received.Load())
				return over
			}
			go forward(client, server, &sent, isBroken)
			go forward(server, client, &received, isBroken)
		}
	}()
	return p
}

func forward(from, to net.Conn, passed *atomic.Int64, isBroken func() bool) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 64*1024)
	for {
		n, err := from.Read(buffer)
		if passed.Add(int64(n)); err != nil || isBroken() {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// scripted is a gRPC server that answers as the test says.
type scripted struct {
	pb.UnimplementedImageStorageServer
	save    func(grpc.ClientStreamingServer[pb.SaveRequest, pb.SaveResponse]) error
	list    func(*pb.ListRequest, grpc.ServerStreamingServer[pb.ListResponse]) error
	cleanup func(*pb.CleanupRequest) (*pb.CleanupResponse, error)
	stats   func(*pb.StatsRequest) (*pb.StatsResponse, error)
	trash
}

func (s scripted) Save(stream grpc.ClientStreamingServer[pb.SaveRequest, pb.SaveResponse]) error {
	return s.save(stream)
}

func (s scripted) Cleanup(_ context.Context, request *pb.CleanupRequest) (*pb.CleanupResponse, error) {
	return s.cleanup(request)
}

func (s scripted) List(request *pb.ListRequest, stream grpc.ServerStreamingServer[pb.ListResponse]) error {
	return s.list(request, stream)
}

func (s scripted) Stats(_ context.Context, request *pb.StatsRequest) (*pb.StatsResponse, error) {
	return s.stats(request)
}

func startScripted(t testing.TB, s scripted, opts ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	pb.RegisterImageStorageServer(server, s)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// png makes a whole PNG of one pixel, unlike any other, padded to the size.
func png(sizeBytes int) []byte {
	var header [13]byte
	binary.BigEndian.PutUint32(header[0:], 1)
	binary.BigEndian.PutUint32(header[4:], 1)
	header[8] = 8
	image := []byte("\x89PNG\r\n\x1a\n")
	image = appendChunk(image, "IHDR", header[:])
	image = appendChunk(image, "tEXt", []byte("id\x00"+rand.Text()))
	var pixel bytes.Buffer
	deflate := zlib.NewWriter(&pixel)
	deflate.Write([]byte{0, 0})
	deflate.Close()
	tail := appendChunk(nil, "IDAT", pixel.Bytes())
	tail = appendChunk(tail, "IEND", nil)
	if padding := sizeBytes - len(image) - len(tail) - 12; padding > 0 {
		image = appendChunk(image, "paDd", make([]byte, padding))
	}
	return append(image, tail...)
}

func appendChunk(to []byte, kind string, data []byte) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(data)))
	from := len(to)
	to = append(append(to, kind...), data...)
	return binary.BigEndian.AppendUint32(to, crc32.ChecksumIEEE(to[from:]))
}

// pipe hides every method but Read: bytes that come once.
type pipe struct{ io.Reader }

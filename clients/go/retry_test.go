// What happens when connections break, daemons are away, and answers are lost: never a second image, never a lie.

package imagestorage_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

type saveStream = grpc.ClientStreamingServer[pb.SaveRequest, pb.SaveResponse]

func TestAnAnswerLostAfterTheCommitMakesNoSecondImage(t *testing.T) {
	direct := dial(t, shared.address)
	isCommitted := func(_, _ int64) bool { return len(list(t, direct, all(t))) > 0 }
	proxy := startProxy(t, shared.address, isCommitted)
	image := save(t, dial(t, proxy.address), png(100_000))
	if !image.Replayed || proxy.connections.Load() != 2 {
		t.Errorf("replayed %v over %d connections", image.Replayed, proxy.connections.Load())
	}
	if names := list(t, direct, all(t)); !slices.Equal(names, []string{image.Filename}) {
		t.Errorf("kept %v", names)
	}
}

func TestALostOutcomeCanBeLearned(t *testing.T) {
	direct := dial(t, shared.address)
	isCommitted := func(_, _ int64) bool { return len(list(t, direct, all(t))) > 0 }
	client := dial(t, startProxy(t, shared.address, isCommitted).address, imagestorage.WithRetries(0))
	data := png(0)
	_, err := client.Save(t.Context(), bytes.NewReader(data), about(t))
	failed := refused(t, err, codes.Unavailable, "")
	if !failed.OutcomeUnknown || !failed.Retryable {
		t.Fatalf("%+v", failed)
	}
	image, err := client.Save(t.Context(), bytes.NewReader(data), about(t), failed.RetryWith())
	if err != nil || !image.Replayed {
		t.Errorf("%+v, %v", image, err)
	}
}

func TestASaveThatBreaksIsSentAgain(t *testing.T) {
	data := png(2_000_000)
	path := filepath.Join(t.TempDir(), "image.png")
	if err := os.WriteFile(path, slices.Concat([]byte("before"), data), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Seek(int64(len("before")), io.SeekStart)
	readEnd, writeEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		writeEnd.Write(data)
		writeEnd.Close()
	}()
	for name, source := range map[string]io.Reader{
		"bytes": bytes.NewReader(data), "buffer": bytes.NewBuffer(slices.Clone(data)), "file": file, "pipe": readEnd,
		"reader": pipe{bytes.NewReader(data)},
	} {
		t.Run(name, func(t *testing.T) {
			halfway := func(sent, _ int64) bool { return sent > 1_000_000 }
			proxy := startProxy(t, shared.address, halfway, halfway)
			client := dial(t, proxy.address)
			image, err := client.Save(t.Context(), source, imagestorage.Metadata{Model: modelOf(t)})
			if err != nil {
				t.Fatal(err)
			}
			if _, body := get(t, client, image.Filename); !bytes.Equal(body, data) {
				t.Error("other bytes came back")
			}
			if names := list(t, client, imagestorage.ListOptions{Model: modelOf(t)}); len(names) != 1 {
				t.Errorf("kept %v", names)
			}
			if proxy.connections.Load() != 3 {
				t.Errorf("%d connections", proxy.connections.Load())
			}
		})
	}
}

func TestAStreamTooLongToKeepIsNotSentAgainAndSaysSo(t *testing.T) {
	proxy := startProxy(t, shared.address, func(sent, _ int64) bool { return sent > 70<<20 })
	client := dial(t, proxy.address)
	_, err := client.Save(t.Context(), pipe{bytes.NewReader(png(80 << 20))}, about(t))
	failed := refused(t, err, codes.Unavailable, "")
	if !strings.Contains(failed.Message, "64 MiB") || failed.OutcomeUnknown {
		t.Errorf("%+v", failed)
	}
	if names := list(t, client, all(t)); len(names) != 0 {
		t.Errorf("kept %v", names)
	}
}

func TestReadsResumeWhereTheyBroke(t *testing.T) {
	direct := dial(t, shared.address)
	data := png(2_000_000)
	image := save(t, direct, data)
	for range 250 {
		metadata := imagestorage.Metadata{Model: modelOf(t), Prompt: strings.Repeat("x", 4000)}
		if _, err := direct.Save(t.Context(), bytes.NewReader(png(0)), metadata); err != nil {
			t.Fatal(err)
		}
	}
	halfway := func(_, received int64) bool { return received > 700_000 }
	getting := startProxy(t, shared.address, halfway, halfway)
	if _, body := get(t, dial(t, getting.address), image.Filename); !bytes.Equal(body, data) || getting.connections.Load() != 3 {
		t.Errorf("%d bytes over %d connections", len(body), getting.connections.Load())
	}
	listing := startProxy(t, shared.address, halfway)
	names := list(t, dial(t, listing.address), imagestorage.ListOptions{Model: modelOf(t), Limit: 240})
	if want := list(t, direct, all(t)); !slices.Equal(names, want[:240]) || listing.connections.Load() != 2 {
		t.Errorf("%d names over %d connections", len(names), listing.connections.Load())
	}
}

func TestACleanupWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	direct := dial(t, shared.address)
	save(t, direct, png(0))
	isDone := func(_, _ int64) bool { return len(list(t, direct, all(t))) == 0 }
	proxy := startProxy(t, shared.address, isDone)
	_, err := dial(t, proxy.address).Cleanup(t.Context(), imagestorage.CleanupOptions{Model: modelOf(t), KeepCount: new(uint32(0))})
	if failed := refused(t, err, codes.Unavailable, ""); !failed.OutcomeUnknown || proxy.connections.Load() != 1 {
		t.Errorf("%+v over %d connections", failed, proxy.connections.Load())
	}
}

func TestEndsWhenItIsCancelledEvenIfTheSourceNeverGivesAnotherByte(t *testing.T) {
	client := dial(t, shared.address)
	ctx, cancel := context.WithCancel(t.Context())
	source, feed := io.Pipe()
	defer feed.Close()
	go func() {
		feed.Write(png(4096)[:1000])
		cancel()
	}()
	_, err := client.Save(ctx, source, about(t))
	if failed := refused(t, err, codes.Canceled, ""); !errors.Is(err, context.Canceled) || failed.OutcomeUnknown {
		t.Errorf("%+v", failed)
	}
	if names := list(t, client, all(t)); len(names) != 0 {
		t.Errorf("kept %v", names)
	}
}

func TestADeadlineEndsACallThatIsNotAnswered(t *testing.T) {
	daemon := startDaemon(t)
	client := dial(t, daemon.address, imagestorage.WithTimeout(500*time.Millisecond))
	save(t, client, png(0))
	daemon.pause()
	_, err := client.Save(t.Context(), bytes.NewReader(png(0)), imagestorage.Metadata{})
	if failed := refused(t, err, codes.DeadlineExceeded, ""); !errors.Is(err, context.DeadlineExceeded) || !failed.OutcomeUnknown {
		t.Errorf("%+v", failed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := dial(t, daemon.address).Stats(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stats: %v", err)
	}
}

func TestNothingIsUnknownWhereNoDaemonWasReached(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	var retries int
	client := dial(t, listener.Addr().String(), imagestorage.WithRetries(2),
		imagestorage.WithOnRetry(func(*imagestorage.Error, time.Duration) { retries++ }))
	_, err = client.Save(t.Context(), bytes.NewReader(png(0)), about(t))
	if failed := refused(t, err, codes.Unavailable, "DAEMON_UNREACHABLE"); failed.OutcomeUnknown || !failed.Retryable || retries != 2 {
		t.Errorf("%+v after %d retries", failed, retries)
	}
	_, err = client.Delete(t.Context(), []string{"any.png"})
	if failed := refused(t, err, codes.Unavailable, "DAEMON_UNREACHABLE"); failed.OutcomeUnknown {
		t.Errorf("%+v", failed)
	}
}

func TestSendsTheSameAgainWhenTheDaemonAsksForIt(t *testing.T) {
	var headers []*pb.SaveHeader
	address := startScripted(t, scripted{save: func(stream saveStream) error {
		header, chunks := received(stream)
		headers = append(headers, header)
		if len(headers) == 1 {
			return refusal(codes.ResourceExhausted, &errdetails.ErrorInfo{Reason: "TOO_MANY_SAVES"},
				&errdetails.RetryInfo{RetryDelay: durationpb.New(50 * time.Millisecond)})
		}
		return stream.SendAndClose(&pb.SaveResponse{Image: &pb.Image{Size: uint64(len(chunks))}})
	}})
	var delays []time.Duration
	client := dial(t, address, imagestorage.WithOnRetry(func(_ *imagestorage.Error, delay time.Duration) { delays = append(delays, delay) }))
	image, err := client.Save(t.Context(), pipe{bytes.NewReader(make([]byte, 300_000))}, imagestorage.Metadata{Model: modelOf(t), Prompt: "again"})
	if err != nil || image.Size != 300_000 {
		t.Fatalf("%+v, %v", image, err)
	}
	if len(headers) != 2 || headers[0].String() != headers[1].String() || headers[0].IdempotencyKey == "" || headers[0].Metadata.Timestamp == nil {
		t.Errorf("headers %v", headers)
	}
	if len(delays) != 1 || delays[0] < 50*time.Millisecond {
		t.Errorf("waited %v", delays)
	}
}

func TestALaterRefusalSaysNothingOfAnEarlierAttemptThatWasNotAnswered(t *testing.T) {
	attempts := 0
	address := startScripted(t, scripted{save: func(stream saveStream) error {
		received(stream)
		if attempts++; attempts == 1 {
			return status.Error(codes.Unavailable, "a proxy lost its daemon")
		}
		return refusal(codes.FailedPrecondition, &errdetails.ErrorInfo{Reason: "STORE_READ_ONLY"})
	}})
	_, err := dial(t, address).Save(t.Context(), bytes.NewReader(png(0)), about(t))
	if failed := refused(t, err, codes.FailedPrecondition, "STORE_READ_ONLY"); !failed.OutcomeUnknown {
		t.Errorf("%+v", failed)
	}
}

func TestStopsReadingTheSourceWhenTheDaemonRefusesEarly(t *testing.T) {
	address := startScripted(t, scripted{save: func(saveStream) error {
		return refusal(codes.FailedPrecondition, &errdetails.ErrorInfo{Reason: "STORE_READ_ONLY"})
	}})
	source, feed := io.Pipe()
	defer feed.Close()
	_, err := dial(t, address).Save(t.Context(), source, about(t))
	if failed := refused(t, err, codes.FailedPrecondition, "STORE_READ_ONLY"); failed.OutcomeUnknown {
		t.Errorf("%+v", failed)
	}
}

func TestPassesOnWhatTheSourceSays(t *testing.T) {
	client := dial(t, shared.address)
	broken := &imagestorage.Error{Code: codes.Unavailable, Retryable: true}
	source := io.MultiReader(bytes.NewReader(png(4096)[:1000]), failing{broken})
	if _, err := client.Save(t.Context(), source, about(t)); err != broken {
		t.Errorf("got %v", err)
	}
	if names := list(t, client, all(t)); len(names) != 0 {
		t.Errorf("kept %v", names)
	}
}

func TestAPanicOfTheSourceCanBeRecovered(t *testing.T) {
	client := dial(t, shared.address)
	defer func() {
		if panicked := recover(); panicked != "the camera fell" {
			t.Errorf("recovered %v", panicked)
		}
		if names := list(t, client, all(t)); len(names) != 0 {
			t.Errorf("kept %v", names)
		}
	}()
	client.Save(t.Context(), io.MultiReader(bytes.NewReader(png(4096)[:1000]), panicking{"the camera fell"}), about(t))
}

func TestSendsItsTokenOverTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	var authorization []string
	address := startScripted(t, scripted{save: func(stream saveStream) error {
		received(stream)
		authorization = metadata.ValueFromIncomingContext(stream.Context(), "authorization")
		return stream.SendAndClose(&pb.SaveResponse{Image: &pb.Image{}})
	}}, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	client := dial(t, address, imagestorage.WithTLS(&tls.Config{RootCAs: roots}), imagestorage.WithToken("secret"))
	save(t, client, png(0))
	if !slices.Equal(authorization, []string{"Bearer secret"}) {
		t.Errorf("authorization %q", authorization)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type panicking struct{ with any }

func (p panicking) Read([]byte) (int, error) { panic(p.with) }

func received(stream saveStream) (header *pb.SaveHeader, data []byte) {
	for {
		message, err := stream.Recv()
		if err != nil {
			return header, data
		}
		if message.GetHeader() != nil {
			header = message.GetHeader()
		}
		data = append(data, message.GetChunk()...)
	}
}

func refusal(code codes.Code, details ...protoadapt.MessageV1) error {
	answer, err := status.New(code, "refused").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return answer.Err()
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	parsed, _ := x509.ParseCertificate(der)
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

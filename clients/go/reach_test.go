// What clients say, and how soon, where there is no daemon, and that they outlast one that starts again.

package imagestorage_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
)

// promised is within which time a client says that there is no daemon.
const promised = 3 * time.Second

func TestWithoutADaemonCallsEndWithinThreeSecondsInOneSentence(t *testing.T) {
	socket := "unix:" + t.TempDir() + "/daemon.sock"
	for address, message := range map[string]string{
		"127.0.0.1:1":           "no daemon at 127.0.0.1:1: connection refused",
		socket:                  "no daemon at " + socket + ": no such file or directory",
		"image-storage.invalid": "no daemon at image-storage.invalid:50051: its name is not known",
		silent(t):               "it does not answer",
	} {
		for name, call := range map[string]func(*imagestorage.Client) error{
			"Save": func(client *imagestorage.Client) error {
				_, err := client.Save(t.Context(), bytes.NewReader(png(0)), about(t))
				return err
			},
			"List": func(client *imagestorage.Client) error {
				for _, err := range client.List(t.Context(), imagestorage.ListOptions{}) {
					return err
				}
				return nil
			},
			"Get": func(client *imagestorage.Client) error {
				_, _, err := client.Get(t.Context(), "a.png")
				return err
			},
			"Stats": func(client *imagestorage.Client) error {
				_, err := client.Stats(t.Context(), "")
				return err
			},
		} {
			t.Run(name+" "+address, func(t *testing.T) {
				t.Parallel()
				client := dial(t, address)
				began := time.Now()
				failed := refused(t, call(client), codes.Unavailable, "DAEMON_UNREACHABLE")
				if took := time.Since(began); took > promised {
					t.Errorf("took %v", took)
				}
				if !strings.HasSuffix(failed.Message, message) || failed.OutcomeUnknown || !failed.Retryable {
					t.Errorf("%+v", failed)
				}
			})
		}
	}
}

// silent returns the address of a port where connections are taken and nothing is said.
func silent(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestAClientThatHadAConnectionOutlastsARestart(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := held.Addr().String()
	// Two ways to the same daemon, of which the first ends.
	proxied := make(chan struct{})
	go passOn(held, shared.address, proxied)
	started := false
	client := dial(t, address,
		imagestorage.WithConnectTimeout(time.Minute),
		imagestorage.WithRetries(50),
		imagestorage.WithOnRetry(func(*imagestorage.Error, time.Duration) {
			if started {
				return
			}
			started = true
			again, err := net.Listen("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { again.Close() })
			go passOn(again, shared.address, make(chan struct{}))
		}))
	image := save(t, client, png(0))
	held.Close()
	close(proxied)
	if _, _, err := client.Get(t.Context(), image.Filename); err != nil {
		t.Fatal(err)
	}
	if !started {
		t.Error("nothing was retried")
	}
}

// passOn passes connections on until over is closed.
func passOn(listener net.Listener, target string, over <-chan struct{}) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		go func() { <-over; client.Close(); server.Close() }()
		go io.Copy(server, client)
		go io.Copy(client, server)
	}
}

func TestRetriesAreLogged(t *testing.T) {
	var log bytes.Buffer
	client := dial(t, "127.0.0.1:1",
		imagestorage.WithRetries(1), imagestorage.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	_, err := client.Stats(t.Context(), "")
	refused(t, err, codes.Unavailable, "DAEMON_UNREACHABLE")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") ||
		!strings.Contains(lines[0], "no daemon at 127.0.0.1:1: connection refused") || !strings.Contains(lines[0], "attempt=2") {
		t.Errorf("%v", lines)
	}
}

func TestTheContextStillEndsACallWithoutADaemon(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := dial(t, "127.0.0.1:1", imagestorage.WithOnRetry(func(*imagestorage.Error, time.Duration) { cancel() }))
	_, err := client.Stats(ctx, "")
	refused(t, err, codes.Canceled, "")
}

func TestALinkOpens(t *testing.T) {
	data := png(0)
	image := save(t, dial(t, shared.address), data)
	if image.Link != "http://"+shared.address+image.URL {
		t.Fatal(image.Link)
	}
	answer, err := http.Get(image.Link)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if read, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(read, data) {
		t.Errorf("%d bytes, %v", len(read), err)
	}
	if local, _, err := dial(t, shared.unixAddress).Get(t.Context(), image.Filename); err != nil || local.Link != "" {
		t.Errorf("%v %v", local, err)
	}
}

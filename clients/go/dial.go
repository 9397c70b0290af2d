// How a client reaches its daemon: addresses, credentials, and how long it tries.

package imagestorage

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const defaultAddress = "127.0.0.1:50051"

// A DialOption adjusts a [Client].
type DialOption func(*settings)

type settings struct {
	token   string
	tls     credentials.TransportCredentials
	retries int
	timeout *time.Duration
	onRetry func(err *Error, delay time.Duration)
}

// WithToken sends a bearer token with every call, without TLS in the clear.
func WithToken(token string) DialOption {
	return func(s *settings) { s.token = token }
}

// WithTLS encrypts the connection; nil trusts the system's roots.
func WithTLS(config *tls.Config) DialOption {
	return func(s *settings) { s.tls = credentials.NewTLS(config) }
}

// WithRetries sets how often a failed attempt is repeated; 0 means never. Default 6, over 3 to 6 seconds where no daemon
// is found. Progress of a List or a Get starts the count again.
func WithRetries(retries int) DialOption {
	return func(s *settings) { s.retries = retries }
}

// WithTimeout bounds one call with all its attempts, besides the deadline of its context; 0 means no end. Default 10
// minutes, for List and Get no end.
func WithTimeout(timeout time.Duration) DialOption {
	return func(s *settings) { s.timeout = &timeout }
}

// WithOnRetry is told before each wait for another attempt.
func WithOnRetry(onRetry func(err *Error, delay time.Duration)) DialOption {
	return func(s *settings) { s.onRetry = onRetry }
}

func (s settings) grpcOptions() []grpc.DialOption {
	transport := s.tls
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		// Retries are ours: they keep the idempotency key and know which source can be read again.
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{
			// An attempt between two connects fails unseen: MaxDelay is far below the time over which attempts are spread.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 20 * time.Second,
		}),
		// A daemon whose machine vanished never answers; this is how the connection learns it.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// A daemon beside its generator must not be looked for behind the proxy of the environment.
		grpc.WithNoProxy(),
	}
	if s.token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(s.token)))
	}
	return options
}

func targetOf(address string) (string, error) {
	if address == "" {
		address = os.Getenv("IMAGE_STORAGE_ADDRESS")
	}
	if address == "" {
		address = defaultAddress
	}
	if !isSocket(address) && !isHostAndPort(address) {
		return "", fmt.Errorf("imagestorage: %q is no address; give host:port, [v6]:port or unix:PATH", address)
	}
	return address, nil
}

func isSocket(address string) bool {
	path, found := strings.CutPrefix(address, "unix:")
	// A URL has a host between two slashes and the third; gRPC knows nothing of it.
	hasHost := strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///")
	return found && path != "" && !hasHost
}

func isHostAndPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// A daemon on the same machine or behind a proxy that ends TLS takes tokens, too.
func (b bearer) RequireTransportSecurity() bool { return false }

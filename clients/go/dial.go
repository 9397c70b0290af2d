// Connects a client to its daemon: addresses, credentials, retries and timeouts.

package imagestorage

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	defaultPort    = "50051"
	defaultAddress = "127.0.0.1:" + defaultPort
)

// host is one without a port.
var host = regexp.MustCompile(`^(\[[\da-fA-F:.]+\]|[\w.-]+)$`)

// A DialOption adjusts a [Client].
type DialOption func(*settings)

type settings struct {
	// Unset: that of the variables.
	token               *string
	allowPlaintextToken bool
	tls                 *tls.Config
	// Unset: defaultRetries, and before the first connection as many as there is time for.
	retries        *int
	connectTimeout time.Duration
	logger         *slog.Logger
	// address as the gRPC library has it.
	address string
	timeout *time.Duration
	onRetry func(err *Error, delay time.Duration)
}

// WithToken sends a bearer token with every call; empty: none. Default: the variable IMAGE_STORAGE_TOKEN, else what the
// file has that IMAGE_STORAGE_TOKEN_FILE names.
func WithToken(token string) DialOption {
	return func(s *settings) { s.token = &token }
}

// WithPlaintextTokenAllowed lets the token go to another machine without TLS, where whoever is between can take it.
func WithPlaintextTokenAllowed() DialOption {
	return func(s *settings) { s.allowPlaintextToken = true }
}

// WithTLS encrypts the connection, as does an address with https://. Without RootCAs, and for nil, it trusts the roots in
// the file that the variable IMAGE_STORAGE_CA_FILE names, else the system's.
func WithTLS(config *tls.Config) DialOption {
	if config == nil {
		config = &tls.Config{}
	}
	return func(s *settings) { s.tls = config }
}

// WithRetries sets the most retries of a call; 0 means none. Default: 6, over 3 to 6 seconds while a daemon is away.
// Progress of a List or a Get starts the count again.
func WithRetries(retries int) DialOption {
	return func(s *settings) { s.retries = &retries }
}

// WithConnectTimeout sets how long a client that never reached a daemon looks for it, before it fails with
// DAEMON_UNREACHABLE; more for one that may start before its daemon. Default: 2.5 seconds.
func WithConnectTimeout(timeout time.Duration) DialOption {
	return func(s *settings) { s.connectTimeout = timeout }
}

// WithLogger sets what is warned of each retry. Default: slog.Default().
func WithLogger(logger *slog.Logger) DialOption {
	return func(s *settings) { s.logger = logger }
}

// WithTimeout limits one call with all its attempts, besides the deadline of its context; 0 means no limit. Default: 10
// minutes; no limit for List and Get.
func WithTimeout(timeout time.Duration) DialOption {
	return func(s *settings) { s.timeout = &timeout }
}

// WithOnRetry sets a function that is called before each wait for another attempt.
func WithOnRetry(onRetry func(err *Error, delay time.Duration)) DialOption {
	return func(s *settings) { s.onRetry = onRetry }
}

func (s settings) grpcOptions() []grpc.DialOption {
	transport := insecure.NewCredentials()
	if s.tls != nil {
		transport = credentials.NewTLS(s.tls)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		// The client itself retries: it keeps the idempotency key and knows which source can be read again.
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{
			// An attempt between two connects fails at once: keep MaxDelay far below the time over which attempts are
			// spread.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 20 * time.Second,
		}),
		// Detects a daemon whose machine vanished, which never answers.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// The proxy of the environment must not apply to a daemon on the generator's machine.
		grpc.WithNoProxy(),
	}
	return append(options, s.tokenOptions()...)
}

// link returns the URL of an image made absolute: the daemon answers HTTP on the port of gRPC. Empty where that cannot be.
func (s settings) link(url string) string {
	switch {
	case !strings.HasPrefix(url, "/"):
		return url
	case isSocket(s.address):
		return ""
	case s.tls != nil:
		return "https://" + s.address + url
	}
	return "http://" + s.address + url
}

func targetOf(address string) string {
	if address == "" {
		address = os.Getenv("IMAGE_STORAGE_ADDRESS")
	}
	if address == "" {
		address = defaultAddress
	}
	if host.MatchString(address) {
		address += ":" + defaultPort
	}
	return address
}

func noAddress(address string) error {
	return fmt.Errorf("imagestorage: %q is no address; give host:port, [v6]:port, unix:PATH, or https://host:port for TLS", address)
}

func isSocket(address string) bool {
	path, found := strings.CutPrefix(address, "unix:")
	// unix://host/path names a host, which gRPC does not support.
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

// Whether there was a connection, how long a client looks for its first one, and why there is none.

package imagestorage

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

const (
	defaultConnectTimeout = 2500 * time.Millisecond
	reasonUnreachable     = "DAEMON_UNREACHABLE"
)

// errNotReached is the cause of contexts of calls that found no daemon in time.
var errNotReached = errors.New("imagestorage: no connection in time")

// reach knows of one client whether it ever had a connection.
type reach struct {
	connection *grpc.ClientConn
	timeout    time.Duration
	was        atomic.Bool
}

// within returns a context that ends with errNotReached where there is no first connection in time.
func (r *reach) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if !r.was.Load() {
		go r.watch(ctx, cancel)
	}
	return ctx, func() { cancel(nil) }
}

func (r *reach) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	inTime, stop := context.WithTimeout(ctx, r.timeout)
	defer stop()
	state := r.connection.GetState()
	for state != connectivity.Ready && r.connection.WaitForStateChange(inTime, state) {
		state = r.connection.GetState()
	}
	if state == connectivity.Ready {
		r.was.Store(true)
	} else if !r.was.Load() {
		cancel(errNotReached)
	}
}

// unreachable returns the error of a call that was ended before a connection; last is that of its last attempt, or nil.
func unreachable(last *Error) *Error {
	if last != nil && last.Reason == reasonUnreachable {
		return last
	}
	return &Error{Code: codes.Unavailable, Reason: reasonUnreachable, Message: "it does not answer", Retryable: true}
}

var (
	// unconnected is how grpc-go begins what it says of a call that had no connection; it says so nowhere else.
	unconnected = regexp.MustCompile(`^(connection error: desc = |name resolver error: |dns: )`)
	// dialError ends in the error of the system.
	dialError = regexp.MustCompile(`Error while dialing: dial .*?: (?:connect: )?([^:"]+?)"?$`)
)

// meanings of what else grpc-go says of connections that were not made.
var connectMeanings = []struct{ part, meaning string }{
	{"lookup", "its name is not known"},
	{"name resolver error", "its name is not known"},
	{"first record does not look like a TLS handshake", "it does not speak TLS"},
	{"certificate signed by unknown authority", "its certificate is not trusted"},
	{"certificate is valid for", "its certificate is that of another name"},
	{"HTTP/1", "what answers there does not speak gRPC"},
	{"http2: frame too large", "what answers there does not speak gRPC"},
	{"error reading server preface", "it closes the connection, as a daemon with TLS does (https://…)"},
	{"i/o timeout", "it does not answer"},
	{"deadline exceeded", "it does not answer"},
}

// causeOf returns why there was no connection, or false where the text is of a call that had one.
func causeOf(text string) (string, bool) {
	if !unconnected.MatchString(text) {
		return "", false
	}
	for _, known := range connectMeanings {
		if strings.Contains(text, known.part) {
			return known.meaning, true
		}
	}
	if found := dialError.FindStringSubmatch(text); found != nil {
		return found[1], true
	}
	return text, true
}

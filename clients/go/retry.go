// When a failed attempt is repeated: exponential backoff with jitter, bounded by attempts and by the deadline.

package imagestorage

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	defaultRetries = 6
	firstDelay     = 100 * time.Millisecond
	maxDelay       = 5 * time.Second
	// Doubled so often, the first delay is beyond the longest.
	maxDoublings = 6
)

// A retryBackoff counts the attempts of one call.
type retryBackoff struct {
	settings
	failures int
}

func (c *Client) newBackoff() *retryBackoff { return &retryBackoff{settings: c.settings} }

// wait waits for the next attempt, or returns the error when there is none. Woken by the end of the context, the next
// attempt says so.
func (b *retryBackoff) wait(ctx context.Context, failed *Error) error {
	step := min(maxDelay, firstDelay<<min(b.failures, maxDoublings))
	// Half of it for certain: all of them together must outlast a daemon that restarts.
	delay := failed.RetryAfter + step/2 + rand.N(step/2)
	b.failures++
	deadline, bounded := ctx.Deadline()
	if !failed.Retryable || b.failures > b.retries || bounded && time.Until(deadline) <= delay {
		return failed
	}
	if b.onRetry != nil {
		b.onRetry(failed, delay)
	}
	select {
	case <-ctx.Done():
	case <-time.After(delay):
	}
	return nil
}

// reset: there was progress, and the next failure is a first one again.
func (b *retryBackoff) reset() { b.failures = 0 }

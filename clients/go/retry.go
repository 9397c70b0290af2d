// Repeats failed attempts: exponential backoff with jitter, bounded by attempts and by the deadline.

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
	// After this many doublings the first delay exceeds the longest.
	maxDoublings = 6
)

// A retryBackoff counts the attempts of one call.
type retryBackoff struct {
	settings
	failures int
}

func (c *Client) newBackoff() *retryBackoff { return &retryBackoff{settings: c.settings} }

// wait waits before the next attempt, or returns the error when there is none. The end of the context ends the wait;
// the next attempt returns its error.
func (b *retryBackoff) wait(ctx context.Context, failed *Error) error {
	step := min(maxDelay, firstDelay<<min(b.failures, maxDoublings))
	// At least half of the step: all steps together must outlast a restart of the daemon.
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

// reset starts the count of failures again, after progress.
func (b *retryBackoff) reset() { b.failures = 0 }

// Repeats failed attempts: exponential backoff with jitter, bounded by attempts and by the deadline.

package imagestorage

import (
	"context"
	"log/slog"
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
	reach    *reach
	failures int
	last     *Error
}

func (c *Client) newBackoff() *retryBackoff {
	return &retryBackoff{settings: c.settings, reach: c.reach}
}

// wait waits before the next attempt, or returns the error when there is none. The end of the context ends the wait;
// the next attempt returns its error.
func (b *retryBackoff) wait(ctx context.Context, failed *Error) error {
	if context.Cause(ctx) == errNotReached {
		failed = failed.instead(unreachable(b.last))
	}
	if failed.Reason == reasonUnreachable && failed != b.last {
		failed.Message = "no daemon at " + b.address + ": " + failed.Message
	}
	b.last = failed
	step := min(maxDelay, firstDelay<<min(b.failures, maxDoublings))
	// At least half of the step: all steps together must outlast a restart of the daemon.
	delay := failed.RetryAfter + step/2 + rand.N(step/2)
	b.failures++
	deadline, bounded := ctx.Deadline()
	if !failed.Retryable || b.isLast(ctx) || bounded && time.Until(deadline) <= delay {
		return failed
	}
	b.log(ctx, failed, delay)
	if b.onRetry != nil {
		b.onRetry(failed, delay)
	}
	select {
	case <-ctx.Done():
	case <-time.After(delay):
	}
	return nil
}

// isLast returns whether the attempt that failed was the last one.
func (b *retryBackoff) isLast(ctx context.Context) bool {
	if context.Cause(ctx) == errNotReached {
		return true
	}
	if b.retries != nil {
		return b.failures > *b.retries
	}
	return b.reach.was.Load() && b.failures > defaultRetries
}

func (b *retryBackoff) log(ctx context.Context, failed *Error, delay time.Duration) {
	logger := b.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.WarnContext(ctx, "a call of ImageStorage failed, another attempt follows",
		"error", failed, "attempt", b.failures+1, "delay", delay.Round(time.Millisecond))
}

// reset starts the count of failures again, after progress.
func (b *retryBackoff) reset() { b.failures = 0 }

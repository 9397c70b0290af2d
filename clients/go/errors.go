// The one error of the client, and how a gRPC status with its details becomes one.

package imagestorage

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An Error is a call that failed; find it with errors.As. errors.Is matches [context.Canceled] and
// [context.DeadlineExceeded] where the call ended so.
type Error struct {
	// Code is the gRPC status code.
	Code codes.Code
	// Reason is UPPER_SNAKE, as the contract names it; empty when the answer did not come from the daemon.
	Reason string
	// Field is the request field at fault, such as metadata.prompt.
	Field string
	// Message is what the daemon or the connection said.
	Message string
	// Retryable: the same call may succeed later without any change.
	Retryable bool
	// RetryAfter is how long the daemon asks to wait before.
	RetryAfter time.Duration
	// OutcomeUnknown: the write may have happened all the same; a Save with [Error.RetryWith] tells.
	OutcomeUnknown bool
	// IdempotencyKey of the Save that failed; empty for other calls.
	IdempotencyKey string
	// Timestamp of the Save that failed.
	Timestamp time.Time

	cause error
}

// Error gives the reason and the message.
func (e *Error) Error() string {
	reason := e.Reason
	if reason == "" {
		reason = e.Code.String()
	}
	return fmt.Sprintf("imagestorage: %s: %s", reason, e.Message)
}

// Unwrap gives the error of the gRPC library.
func (e *Error) Unwrap() error { return e.cause }

// Is matches the errors of contexts: the daemon may notice the end of a deadline before its context does.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Code == codes.Canceled
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded && e.Reason == ""
	}
	return false
}

// RetryWith makes another Save of the same image and metadata a retry of the one that failed: it returns what that one
// stored, or stores it.
func (e *Error) RetryWith() SaveOption {
	return saveOption(func(header *saveHeader) {
		header.IdempotencyKey = e.IdempotencyKey
		header.timestamp = e.Timestamp
	})
}

// errorFrom reads a status. sent: the request reached a connection whole, so that without an answer its outcome is
// unknown.
func errorFrom(err error, sent bool) *Error {
	answer := status.Convert(err)
	failed := &Error{Code: answer.Code(), Message: answer.Message(), Retryable: answer.Code() == codes.Unavailable, cause: err}
	for _, detail := range answer.Details() {
		failed.read(detail)
	}
	if failed.Reason == "" && mayBeUnanswered(failed.Code) {
		failed.OutcomeUnknown = sent
	}
	return failed
}

func (e *Error) read(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		e.Reason = detail.Reason
		e.OutcomeUnknown = detail.Metadata["outcome"] == "unknown"
	case *errdetails.BadRequest:
		if len(detail.FieldViolations) > 0 {
			e.Field = detail.FieldViolations[0].Field
		}
	case *errdetails.RetryInfo:
		e.Retryable = true
		e.RetryAfter = detail.RetryDelay.AsDuration()
	}
}

// What a connection says by itself when no answer came.
func mayBeUnanswered(code codes.Code) bool {
	switch code {
	case codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Internal, codes.Unavailable:
		return true
	}
	return false
}

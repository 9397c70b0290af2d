// The one error of the client, and the conversion of a gRPC status with its details to it.

package imagestorage

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An Error is a failed call; find it with errors.As. errors.Is matches [context.Canceled] and
// [context.DeadlineExceeded] where they ended the call.
type Error struct {
	// Code is the gRPC status code.
	Code codes.Code
	// Reason is the contract's reason in UPPER_SNAKE, or DAEMON_UNREACHABLE or TOKEN_IN_PLAINTEXT of this client; empty for
	// what else the connection reports.
	Reason string
	// Field is the request field at fault, such as metadata.prompt.
	Field string
	// Message is the text of the daemon or the connection.
	Message string
	// Retryable: the same call may succeed later, unchanged.
	Retryable bool
	// RetryAfter is how long the daemon asks to wait before a retry.
	RetryAfter time.Duration
	// OutcomeUnknown: the write may have happened; a Save with [Error.RetryWith] returns its outcome.
	OutcomeUnknown bool
	// HTTPStatus is what a proxy answered with, in place of a gRPC answer; else 0.
	HTTPStatus int
	// IdempotencyKey is that of the Save that failed; empty for other calls.
	IdempotencyKey string
	// Timestamp is that of the Save that failed.
	Timestamp time.Time

	cause error
}

// Error returns the reason and the message.
func (e *Error) Error() string {
	reason := e.Reason
	if reason == "" {
		reason = e.Code.String()
	}
	return fmt.Sprintf("imagestorage: %s: %s", reason, e.Message)
}

// Unwrap returns the error of the gRPC library.
func (e *Error) Unwrap() error { return e.cause }

// Is matches the errors of contexts: the daemon may notice a deadline before the context does.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Code == codes.Canceled
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded && e.Reason == ""
	}
	return false
}

// RetryWith returns an option that makes another Save of the same image and metadata a retry of the one that failed: it
// returns what that one stored, or stores the image.
func (e *Error) RetryWith() SaveOption {
	return saveOption(func(header *saveHeader) {
		header.IdempotencyKey = e.IdempotencyKey
		header.timestamp = e.Timestamp
	})
}

// errorFrom converts a status. sent: the whole request reached a connection, so that its outcome is unknown without an
// answer.
func errorFrom(err error, sent bool) *Error {
	answer := status.Convert(err)
	failed := &Error{Code: answer.Code(), Message: answer.Message(), Retryable: answer.Code() == codes.Unavailable, cause: err}
	for _, detail := range answer.Details() {
		failed.read(detail)
	}
	if failed.Reason != "" {
		return failed
	}
	if failed.HTTPStatus = httpStatusIn(failed.Message); failed.HTTPStatus != 0 {
		failed.Message = explanation(failed.HTTPStatus)
	}
	if cause, found := causeOf(failed.Message); found && failed.Code == codes.Unavailable {
		failed.Reason, failed.Message = reasonUnreachable, cause
		return failed
	}
	// With 413 a proxy ends a call before it has passed on the whole request.
	if mayBeUnanswered(failed.Code) && failed.HTTPStatus != http.StatusRequestEntityTooLarge {
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

// instead returns the other error for the same Save.
func (e *Error) instead(other *Error) *Error {
	other.IdempotencyKey, other.Timestamp = e.IdempotencyKey, e.Timestamp
	return other
}

// mayBeUnanswered returns whether the connection itself reports this code when no answer came.
func mayBeUnanswered(code codes.Code) bool {
	switch code {
	case codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Internal, codes.Unavailable:
		return true
	}
	return false
}

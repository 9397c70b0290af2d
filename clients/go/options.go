// The options of single calls.

package imagestorage

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

// A SaveOption adjusts a [Client.Save].
type SaveOption interface{ applySave(*saveHeader) }

// A GetOption adjusts a [Client.Get].
type GetOption interface{ applyGet(*pb.GetRequest) }

// An UpdateOption adjusts a [Client.Update].
type UpdateOption interface{ applyUpdate(*pb.UpdateRequest) }

// A DeleteOption adjusts a [Client.Delete].
type DeleteOption interface{ applyDelete(*pb.DeleteRequest) }

// A TrashOption adjusts a [Client.Restore], a [Client.Purge] or a [Client.PurgeAll].
type TrashOption interface{ trashProvider() string }

// A ProviderOption chooses the provider of a call; [WithProvider] returns it.
type ProviderOption string

// WithProvider chooses the provider by its name; unset or empty means the default provider.
func WithProvider(name string) ProviderOption { return ProviderOption(name) }

func (p ProviderOption) applySave(header *saveHeader)          { header.Provider = string(p) }
func (p ProviderOption) applyGet(request *pb.GetRequest)       { request.Provider = string(p) }
func (p ProviderOption) applyUpdate(request *pb.UpdateRequest) { request.Provider = string(p) }
func (p ProviderOption) applyDelete(request *pb.DeleteRequest) { request.Provider = string(p) }
func (p ProviderOption) trashProvider() string                 { return string(p) }

// saveHeader is the header that all attempts of a Save send, so that the daemon recognises a retry.
type saveHeader struct {
	*pb.SaveHeader
	timestamp time.Time
	progress  func(sentBytes int64)
}

type saveOption func(*saveHeader)

func (o saveOption) applySave(header *saveHeader) { o(header) }

// WithIdempotencyKey sets the key, 1 to 256 bytes of UTF-8, by which a repeated Save returns the first result. The
// metadata must have the same Timestamp each time. Default: a new key for each Save.
func WithIdempotencyKey(key string) SaveOption {
	return saveOption(func(header *saveHeader) { header.IdempotencyKey = key })
}

// WithContentType sets the expected type, such as image/png, which is checked against the bytes.
func WithContentType(contentType string) SaveOption {
	return saveOption(func(header *saveHeader) { header.ContentType = contentType })
}

// WithPinned keeps the image out of every Cleanup.
func WithPinned() SaveOption {
	return saveOption(func(header *saveHeader) { header.Pinned = true })
}

// WithEmbeddedIgnored stores the metadata as given. Without it the daemon fills what is left empty of Prompt, Model and
// Parameters from what the generator wrote into the file, and the image that Save returns shows it. An older daemon reads
// nothing in either case.
func WithEmbeddedIgnored() SaveOption {
	return saveOption(func(header *saveHeader) { header.Embedded = pb.Embedded_EMBEDDED_IGNORE })
}

// WithTTL lets the image go after that time, at least a second, and a day after the Save at the earliest, unless it is
// pinned. An older daemon keeps it: the image that Save returns has no ExpireTime then.
func WithTTL(ttl time.Duration) SaveOption {
	return saveOption(func(header *saveHeader) { header.Ttl = durationpb.New(ttl) })
}

// WithUnlessDeleted fails with DELETED_BEFORE, in place of Deleted in the image that Save returns, and where the same bytes
// were deleted within a year and are not there. An older daemon ignores it, or looks at the key alone.
func WithUnlessDeleted() SaveOption {
	return saveOption(func(header *saveHeader) { header.UnlessDeleted = true })
}

// WithProgress sets a function that is called with the bytes of the image that were handed to the connection; they
// start again at 0 with each attempt.
func WithProgress(progress func(sentBytes int64)) SaveOption {
	return saveOption(func(header *saveHeader) { header.progress = progress })
}

type deleteOption func(*pb.DeleteRequest)

func (o deleteOption) applyDelete(request *pb.DeleteRequest) { o(request) }

// WithPermanent deletes for good, past the trash and out of it.
func WithPermanent() DeleteOption {
	return deleteOption(func(request *pb.DeleteRequest) { request.Permanent = true })
}

type getOption func(*pb.GetRequest)

func (o getOption) applyGet(request *pb.GetRequest) { o(request) }

// WithRange reads at most limit bytes from offset; a limit of 0 means to the end. An offset beyond the end fails with
// OFFSET_OUT_OF_RANGE.
func WithRange(offset, limit uint64) GetOption {
	return getOption(func(request *pb.GetRequest) { request.Offset, request.Limit = offset, limit })
}

// WithMetadataOnly asks for the description only; the body is empty.
func WithMetadataOnly() GetOption {
	return getOption(func(request *pb.GetRequest) { request.MetadataOnly = true })
}

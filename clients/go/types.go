// What callers of the client hand in and get back. Sizes are in bytes.

package imagestorage

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

// Metadata is what the generator knows of an image. Text is valid UTF-8 without NUL.
type Metadata struct {
	// Prompt has at most 64 KiB.
	Prompt string
	// Model is kept verbatim; folders and filenames use its slug. At most 1 KiB.
	Model string
	// Timestamp is when the image was generated, kept to the millisecond. Zero: the time of the Save.
	Timestamp time.Time
	// Category is a free label of at most 256 bytes, matched exactly by filters.
	Category string
	// Parameters are one JSON object, or empty; kept byte for byte, so that a 64-bit seed survives.
	Parameters json.RawMessage
	// Tags are at most 64 labels of at most 256 bytes.
	Tags []string
}

// An Image is a stored image.
type Image struct {
	// URL is where to fetch the bytes: a path below the daemon's publicUrl, a CDN URL or a presigned URL.
	URL string
	// Filename is the image's identity within its provider, never reused.
	Filename string
	// Path is absolute where the daemon runs; empty for object stores.
	Path string
	// Key is outputs/images/generations/<YYYY-MM-DD>/<model-slug>/<filename>.
	Key string
	// Size in bytes.
	Size uint64
	// StorageType is local or s3.
	StorageType string
	// Provider is the name of the provider that keeps it.
	Provider string
	// Metadata as it was sent, with the timestamp filled in.
	Metadata Metadata
	// SHA256 of the bytes.
	SHA256 [sha256.Size]byte
	// ContentType is image/png, image/jpeg, image/webp, image/gif or image/avif.
	ContentType string
	// Width and Height in pixels.
	Width, Height int
	// CreateTime is when the daemon committed it.
	CreateTime time.Time
	// Pinned images are spared by Cleanup.
	Pinned bool
	// Replayed, after a Save: the idempotency key had been saved before, and the rest is the first result.
	Replayed bool
}

// ListOptions are the filters and the order of a List; an image must match all that are given.
type ListOptions struct {
	// Provider: empty is the default provider, "*" is all of them, merged.
	Provider string
	// Since and Until bound the image's timestamp: the first instant inside, and the first one outside. Zero: no bound.
	Since, Until time.Time
	// Model is the name as it was sent, or its slug.
	Model string
	// Category is exact.
	Category string
	// Query is words of the prompt, each as a word or the beginning of one.
	Query string
	// Tags must all be there.
	Tags []string
	// Pinned: only those that are, or only those that are not; nil is both.
	Pinned *bool
	// OldestFirst turns the order around.
	OldestFirst bool
	// Limit is how many images at most; 0 means all.
	Limit uint32
}

// A DeleteResult is what became of one filename.
type DeleteResult struct {
	Filename string
	// Deleted: by this call.
	Deleted bool
	// Reason is IMAGE_NOT_FOUND, or the reason of the error that this one met; empty when deleted.
	Reason string
}

// CleanupOptions are the criteria and filters of a Cleanup. At least one of OlderThan, KeepCount and KeepBytes is
// needed; each that is given protects.
type CleanupOptions struct {
	// Provider: empty is the default provider, "*" is each of them on its own.
	Provider string
	// OlderThan protects images whose timestamp is not before it. Zero: unset.
	OlderThan time.Time
	// KeepCount protects the newest so many that match the filters.
	KeepCount *uint32
	// KeepBytes protects the newest that match the filters and fit into so many bytes together.
	KeepBytes *uint64
	// Model is the name as it was sent, or its slug.
	Model string
	// Category is exact.
	Category string
	// DryRun only reports what would go.
	DryRun bool
	// MaxDeletes stops after so many.
	MaxDeletes *uint32
}

// A CleanupResult is what a Cleanup did, or would do.
type CleanupResult struct {
	DeletedCount, FreedBytes uint64
	// Filenames are the first 1,000, oldest first.
	Filenames []string
	// KeptPinned images would have gone, were they not pinned.
	KeptPinned uint64
	DryRun     bool
	// More: MaxDeletes was reached and more would go.
	More bool
}

// ProviderStats are the counts of one provider.
type ProviderStats struct {
	Provider, StorageType     string
	Count, Bytes, PinnedCount uint64
	// Oldest and Newest timestamp; zero without images.
	Oldest, Newest time.Time
	// ByModel and ByCategory are the 100 groups with the most bytes, then the rest.
	ByModel, ByCategory []GroupStats
	// ByDate is by UTC day, newest first.
	ByDate []GroupStats
	// CapacityBytes and FreeBytes are those of the file system; nil for object stores.
	CapacityBytes, FreeBytes *uint64
}

// GroupStats are the counts of one group.
type GroupStats struct {
	// Name is empty for images that have none, and for the rest.
	Name         string
	Count, Bytes uint64
	// Rest: the sum of all groups that are not listed.
	Rest bool
}

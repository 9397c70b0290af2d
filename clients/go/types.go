// The arguments and results of the client. Sizes are in bytes.

package imagestorage

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

// Metadata is the generator's description of an image. Text is valid UTF-8 without NUL.
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
	// Link is URL made absolute, to open or to send; empty where the daemon is reached by a Unix socket and has no publicUrl.
	Link string
	// Filename is the image's identity within its provider, never reused.
	Filename string
	// Path is absolute, on the daemon's machine; empty for object stores.
	Path string
	// Key is outputs/images/generations/<YYYY-MM-DD>/<model-slug>/<filename>.
	Key string
	// Size in bytes.
	Size uint64
	// StorageType is local or s3.
	StorageType string
	// Provider is the name of the provider that keeps it.
	Provider string
	// Metadata as it was sent, with the timestamp filled in, and what the daemon read in the file for fields that were left
	// empty.
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
	// Generation is nil when the parameters name no settings, and from an older daemon.
	Generation *Generation
	// Replayed, after a Save: the idempotency key was used before, and the rest is the result of that Save.
	Replayed bool
	// Deleted, after a Save: it was Replayed, and the image was deleted since: it is in the trash, or gone. False from an
	// older daemon.
	Deleted bool
	// ThumbHash is a blurred picture of about 25 bytes (evanw.github.io/thumbhash); nil until the daemon has made it.
	ThumbHash []byte
	// ExpireTime is when it goes as by a Cleanup, unless it is pinned (WithTTL). Zero: never.
	ExpireTime time.Time
	// DeleteTime is when it was deleted, and PurgeTime until when Restore can bring it back; a store without room may end it
	// sooner. Only from ListTrash.
	DeleteTime, PurgeTime time.Time
}

// Generation is the settings of a generation, in one vocabulary for all generators, derived from the parameters. What they
// do not name is empty, zero or nil.
type Generation struct {
	NegativePrompt string
	// Seed as it was written, so that one of 64 bits stays exact.
	Seed  string
	Steps *uint32
	// CFG is the guidance scale.
	CFG                *float64
	Sampler, Scheduler string
	// LoRAs by name, without folders and extension.
	LoRAs []string
	// Width and Height in pixels that were asked for, which an upscaler may have changed.
	Width, Height int
}

// Changes are what an Update changes of an image; what is nil or empty changes nothing.
type Changes struct {
	// Pinned true: no Cleanup deletes the image. False: removes the pin.
	Pinned *bool
	// AddTags: the image has at most 64 tags with these.
	AddTags []string
	// RemoveTags must not have a tag of AddTags.
	RemoveTags []string
	// Category has at most 256 bytes; empty: none.
	Category *string
}

// ListOptions are the filters and the order of a List; an image must match all given filters.
type ListOptions struct {
	// Provider: empty means the default provider, "*" means all of them, merged.
	Provider string
	// Since and Until bound the image's timestamp: the first instant inside, and the first one outside. Zero: no bound.
	Since, Until time.Time
	// Model is the name as it was sent, or its slug.
	Model string
	// Category is exact.
	Category string
	// Query is terms that must all hold: words of the prompt or their beginnings, "a phrase", -not, a OR b, and fields such
	// as seed:42, steps:>=30, lora:ink, negative:blurry and after:2026-11-01; the contract has them all. Any other text,
	// such as a pasted prompt, is searched for its words. An older daemon knows only words.
	Query string
	// Tags: the image must have all of them.
	Tags []string
	// Pinned: only pinned images, or only those that are not; nil means both.
	Pinned *bool
	// OldestFirst reverses the order.
	OldestFirst bool
	// Rows: images are as a row of a table shows them, without Parameters, Prompt and NegativePrompt cut after 300
	// characters; the daemon then reads and sends no workflows. An older daemon sends all.
	Rows bool
	// Limit is the most images to list; 0 means all.
	Limit uint32
	// OnHints is called when nothing matches and no image has the model, the category or a tag that was asked for, with
	// what there is instead. An older daemon gives no hints.
	OnHints func([]Hint)
}

// A Hint is what there is in place of a model, category or tag that no image has.
type Hint struct {
	// Field is model, category or tag.
	Field string
	// Values, the most similar first, then those of most images; at most 5.
	Values []string
}

// A GroupBy is how [Client.Totals] groups images.
type GroupBy int32

// The groups of totals. Days and months are those of the image's timestamp in TotalsOptions.TimeZone.
const (
	NoGroups   = GroupBy(pb.GroupBy_GROUP_BY_UNSPECIFIED)
	ByDay      = GroupBy(pb.GroupBy_GROUP_BY_DAY)
	ByMonth    = GroupBy(pb.GroupBy_GROUP_BY_MONTH)
	ByModel    = GroupBy(pb.GroupBy_GROUP_BY_MODEL)
	ByCategory = GroupBy(pb.GroupBy_GROUP_BY_CATEGORY)
	// ByTag counts an image in each of its tags.
	ByTag = GroupBy(pb.GroupBy_GROUP_BY_TAG)
	// ByLoRA counts an image in each of its LoRAs.
	ByLoRA = GroupBy(pb.GroupBy_GROUP_BY_LORA)
)

// TotalsOptions are the images to count, which must match all given filters, and how to group them.
type TotalsOptions struct {
	// Provider, Since, Until, Model, Category, Query, Tags and Pinned are those of ListOptions.
	Provider        string
	Since, Until    time.Time
	Model, Category string
	Query           string
	Tags            []string
	Pinned          *bool
	By              GroupBy
	// StartsWith: only groups whose names begin so; case is ignored.
	StartsWith string
	// TimeZone is the IANA time zone of days and months, such as Europe/Berlin; empty means UTC.
	TimeZone string
	// Limit is the most groups, at most 10,000; 0 means 100. Those beyond are one rest.
	Limit uint32
}

// Totals are count and size of the images that match.
type Totals struct {
	Count, Bytes uint64
	// Oldest and Newest timestamp; zero without images.
	Oldest, Newest time.Time
	// Groups: days and months newest first, others by their images.
	Groups []GroupStats
	// More: the daemon ended counting before it saw all images that match; these are of the newest of them.
	More bool
}

// A DeleteResult is the result for one filename.
type DeleteResult struct {
	Filename string
	// Deleted by this call.
	Deleted bool
	// Reason is IMAGE_NOT_FOUND, or the reason of the error for this filename; empty when deleted.
	Reason string
	// RestorableUntil is until when Restore can bring it back. Zero: it is deleted for good.
	RestorableUntil time.Time
}

// A RestoreResult is the result for one filename.
type RestoreResult struct {
	Filename string
	// Restored by this call.
	Restored bool
	// Reason is IMAGE_NOT_FOUND, NOT_DELETED (it is live), or the reason of the error for this filename; empty when restored.
	Reason string
}

// TrashOptions are the images of the trash to list.
type TrashOptions struct {
	// Provider: empty means the default provider, "*" means all of them, merged.
	Provider string
	// Query is that of ListOptions.
	Query string
	// Limit is the most images to list; 0 means all.
	Limit uint32
}

// A PurgeResult is what a Purge deleted.
type PurgeResult struct{ Count, Bytes uint64 }

// A Selection is the images that a Cleanup deletes: those that match every filter, and that no criterion and no pin protects.
// Without any criterion, images dated after now go, too. It requires a filter, a criterion or a Plan; Except is none.
type Selection struct {
	// Since, Until, Model, Category, Query, Tags and Pinned are those of ListOptions; of pinned images none goes.
	Since, Until    time.Time
	Model, Category string
	Query           string
	Tags            []string
	Pinned          *bool
	// Only: images with these filenames, at most 1,000; empty: any.
	Only []string
	// Except: no image with one of these filenames, at most 1,000.
	Except []string
	// OlderThan, OlderThanAge, KeepCount and KeepBytes are those of CleanupOptions.
	OlderThan    time.Time
	OlderThanAge time.Duration
	KeepCount    *uint32
	KeepBytes    *uint64
	// Plan is that of a dry run with the same provider, filters and criteria: nothing goes that would not have gone then, and
	// nothing that the daemon has learnt or changed since.
	Plan []byte
}

// CleanupOptions are the criteria and filters of a Cleanup. It requires a Selection, a Policy, or at least one of OlderThan,
// OlderThanAge, KeepCount and KeepBytes; each given one protects images.
type CleanupOptions struct {
	// Provider: empty means the default provider, "*" means each of them on its own.
	Provider string
	// OlderThan protects images whose timestamp is not before it. Zero: unset. More than five minutes after the daemon's
	// clock is refused.
	OlderThan time.Time
	// OlderThanAge is OlderThan as an age, resolved by the daemon's clock. Zero: unset. Not together with OlderThan.
	OlderThanAge time.Duration
	// KeepCount protects this many of the newest images that match the filters.
	KeepCount *uint32
	// KeepBytes protects the newest images that match the filters and together fit into this many bytes.
	KeepBytes *uint64
	// Model is the name as it was sent, or its slug.
	Model string
	// Category is exact.
	Category string
	// DryRun only reports what would be deleted.
	DryRun bool
	// MaxDeletes is the most images to delete.
	MaxDeletes *uint32
	// Permanent deletes for good, past the trash.
	Permanent bool
	// Policy is a retention policy of the daemon's configuration, run now; provider, criteria and filters are the policy's.
	Policy string
	// Selection is the images to delete; no filter, criterion or policy stands beside it.
	Selection *Selection
}

// A CleanupResult is what a Cleanup deleted, or would delete.
type CleanupResult struct {
	DeletedCount, FreedBytes uint64
	// Filenames are the first 1,000, oldest first.
	Filenames []string
	// KeptPinned counts images that would have been deleted but are pinned.
	KeptPinned uint64
	// KeptFuture counts images dated after the daemon's clock: kept, and not counted by KeepCount and KeepBytes.
	KeptFuture uint64
	DryRun     bool
	// More: MaxDeletes was reached, now or in the plan, and more images would be deleted.
	More bool
	// KeptChanged counts images that match and would have gone, but came or changed after the plan.
	KeptChanged uint64
	// Plan, of a dry run without a policy, is what deletes these images and no others, as that of a Selection. Valid for an
	// hour; then, or after a restart of the daemon, PLAN_EXPIRED. Nil from an older daemon.
	Plan []byte
	// Reasons why images go; together the same images as DeletedCount. Empty from an older daemon.
	Reasons []CleanupReason
	// RestorableUntil is until when Restore can bring the images back, of a dry run if it ran now. Zero: they are deleted for
	// good, or an older daemon answered.
	RestorableUntil time.Time
}

// A CleanupReason is how many images go for one reason.
type CleanupReason struct {
	// Text such as "older than 30d, not among the last 1,000 of flux-schnell".
	Text         string
	Count, Bytes uint64
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
	// TrashCount and TrashBytes are those of the images in the trash, which are counted nowhere else.
	TrashCount, TrashBytes uint64
	// Policies are the retention policies that apply to this provider.
	Policies []PolicyStats
}

// PolicyStats are the runs of a retention policy on one provider.
type PolicyStats struct {
	// Name in the configuration.
	Name string
	// LastRun and NextRun; zero: never.
	LastRun, NextRun time.Time
	// Announced: its next run is the first that deletes; the last one was a dry run, or none was.
	Announced bool
	// LastCount and LastBytes are those of the images that went by the last run, or would have gone by a dry run.
	LastCount, LastBytes uint64
}

// GroupStats are the counts of one group.
type GroupStats struct {
	// Name is empty for images without one, and for the rest.
	Name         string
	Count, Bytes uint64
	// Rest: the sum of all groups that are not listed.
	Rest bool
}

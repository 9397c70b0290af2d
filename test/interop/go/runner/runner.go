// Package runner is what both Go runners share: commands come in and answers go out, as ../../README.md describes.
package runner

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/grpc/codes"
)

// A Command has the fields of every verb.
type Command struct {
	Do, Address, Token       string
	TimeoutMs, CancelAfterMs int64
	Retries                  *int

	File, Prompt, Model, Category       string
	Tags                                []string
	ParametersJSON                      string
	TimestampMs                         *int64
	IdempotencyKey, ContentType, SHA256 string
	Provider                            string
	Pinned                              *bool
	Embedded                            string
	TTLMs                               *int64
	UnlessDeleted, Permanent            bool
	Size                                *uint64

	AddTags, RemoveTags []string

	Filename      string
	Filenames     []string
	Offset, Limit uint64

	Query, Order, View, PageToken string
	StartMs, EndMs                *int64
	BatchSize                     uint32
	Hints                         bool

	By, StartsWith, TimeZone string

	OlderThanMs    *int64
	OlderThanAgeMs *int64
	KeepCount      *uint32
	KeepBytes      *uint64
	DryRun         bool
	MaxDeletes     *uint32
	Selection      *Selection
}

// A Selection is that of a cleanup.
type Selection struct {
	Model, Category, Query      string
	Tags, Only, Except          []string
	Pinned                      *bool
	StartMs, EndMs              *int64
	OlderThanMs, OlderThanAgeMs *int64
	KeepCount                   *uint32
	KeepBytes                   *uint64
	// Plan is in hex.
	Plan string
}

// PlanBytes are those of the plan; nil where none was given.
func (s *Selection) PlanBytes() []byte {
	if s.Plan == "" {
		return nil
	}
	plan, err := hex.DecodeString(s.Plan)
	if err != nil {
		log.Fatal(err)
	}
	return plan
}

// An Answer is what a command came to.
type Answer map[string]any

// A Refusal is how a call failed.
type Refusal struct {
	Code    codes.Code `json:"code"`
	Reason  string     `json:"reason,omitempty"`
	Field   string     `json:"field,omitempty"`
	Message string     `json:"message"`
}

// Run performs one command after the other until there are no more.
func Run(perform func(context.Context, Command) (Answer, error), refusalOf func(error) Refusal) {
	commands, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var command Command
		if err := commands.Decode(&command); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		answer, err := limited(perform, command)
		if err != nil {
			answer = Answer{"error": refusalOf(err)}
		}
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}

func limited(perform func(context.Context, Command) (Answer, error), command Command) (Answer, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if command.TimeoutMs > 0 {
		ctx, cancel = context.WithTimeout(ctx, milliseconds(command.TimeoutMs))
		defer cancel()
	}
	if command.CancelAfterMs > 0 {
		time.AfterFunc(milliseconds(command.CancelAfterMs), cancel)
	}
	return perform(ctx, command)
}

// Instant is the zero time where nothing was given.
func Instant(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms)
}

func milliseconds(count int64) time.Duration { return time.Duration(count) * time.Millisecond }

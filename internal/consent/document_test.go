package consent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
)

var errCabinet = errs.New(errs.Unavailable, "the cabinet did not answer")

// cabinet is a Documents that panics when an Archive breaks what it promises.
type cabinet struct {
	rows  map[string]Document
	bytes map[string]string
	fails string
}

func (c *cabinet) Create(_ context.Context, d *Document) (*Document, error) {
	if c.fails == "create" {
		return nil, errCabinet
	}
	if prior, ok := c.rows[d.ID]; ok {
		return &prior, nil
	}
	if _, kept := c.bytes[d.ID+d.Digest]; !kept {
		panic("a row without its bytes")
	}
	c.rows[d.ID] = *d
	return nil, nil
}

func (c *cabinet) PutDocument(_ context.Context, _, id, digest string, body []byte) error {
	if c.fails == "put" {
		return errCabinet
	}
	c.bytes[id+digest] = string(body)
	return nil
}

func TestKeep(t *testing.T) {
	t.Parallel()
	hasher, err := pseudonym.New([]byte(strings.Repeat("s", pseudonym.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	c := &cabinet{rows: map[string]Document{}, bytes: map[string]string{}}
	now := noticeEpoch.Add(1500 * time.Microsecond)
	a := &Archive{Documents: c, Bytes: c, Hasher: hasher, Now: func() time.Time { return now },
		NewID: func(at time.Time) string { return hasher.ID(at, "minted") }}
	key := hasher.ID(noticeEpoch.Add(-time.Minute), "key")
	file := File{Name: "a.txt", MimeType: "text/plain", Body: []byte("one")}

	for _, c.fails = range []string{"put", "create"} {
		if _, err := a.Keep(t.Context(), noticePolicy, key, file); !errors.Is(err, errCabinet) {
			t.Errorf("%s fails: %v", c.fails, err)
		}
	}
	c.fails = ""
	first, err := a.Keep(t.Context(), noticePolicy, key, file)
	want := &Document{Site: "shop", ID: hasher.ID(noticeEpoch.Add(-time.Minute), "document", "shop", key), Name: "a.txt", MimeType: "text/plain",
		Digest: hexDigest("one"), Size: 3, Created: noticeEpoch.Add(time.Millisecond)}
	if diff := cmp.Diff(want, first); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	now = now.Add(time.Hour)
	for name, tt := range map[string]struct {
		file File
		kind errs.Kind
	}{
		"the same":      {file, ""},
		"another type":  {File{Name: "a.txt", MimeType: "text/html", Body: []byte("one")}, ""},
		"another name":  {File{Name: "b.txt", MimeType: "text/plain", Body: []byte("one")}, errs.Conflict},
		"another bytes": {File{Name: "a.txt", MimeType: "text/plain", Body: []byte("two")}, errs.Conflict},
	} {
		got, err := a.Keep(t.Context(), noticePolicy, key, tt.file)
		if tt.kind != "" {
			if !errs.Is(err, tt.kind) {
				t.Errorf("%s: %v, want %s", name, err, tt.kind)
			}
			continue
		}
		if diff := cmp.Diff(first, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	if _, err := a.Keep(t.Context(), noticePolicy, "x", file); !errs.Is(err, errs.Invalid) {
		t.Errorf("a key that is none: %v", err)
	}
	minted, err := a.Keep(t.Context(), noticePolicy, "", file)
	if err != nil || minted.ID == first.ID || !IDTime(minted.ID).Equal(minted.Created) {
		t.Errorf("without a key: %v, %v", minted, err)
	}
}

package dynamo_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
)

func document(site string, i int) *consent.Document {
	return &consent.Document{
		Site: site, ID: fmt.Sprintf("019c2a%06d", i), Name: fmt.Sprintf("Größe %d.pdf", i), MimeType: "application/pdf",
		Digest: "digest", Size: i + 1, Created: time.Date(2026, 2, 4, 0, 0, i, 1e6, time.UTC),
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := dynamo.NewDocuments(e.Config, e.Getenv("DOCUMENTS_TABLE"))
	const count = 130
	var ids []string
	for i := range count {
		d := document("shop", i)
		// On a busy machine a reply may be lost; the SDK's retry then finds the row.
		if prior, err := s.Create(t.Context(), d); prior != nil && cmp.Diff(d, prior) != "" || err != nil {
			t.Fatalf("%v, %v", prior, err)
		}
		ids = append(ids, d.ID)
	}
	if _, err := s.Create(t.Context(), document("other", 3)); err != nil {
		t.Fatal(err)
	}

	again := document("shop", 3)
	again.Name = "another"
	prior, err := s.Create(t.Context(), again)
	if diff := cmp.Diff(document("shop", 3), prior); err != nil || diff != "" {
		t.Errorf("creating it again: %v %s", err, diff)
	}
	got, err := s.Get(t.Context(), "shop", ids[3])
	if diff := cmp.Diff(document("shop", 3), got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := s.Get(t.Context(), "other", ids[4]); got != nil || err != nil {
		t.Errorf("of another site: %v, %v", got, err)
	}

	found, err := s.BatchGet(t.Context(), "shop", append(slices.Repeat(ids, 2), "none"))
	if err != nil || len(found) != count || found[ids[77]].Size != 78 || found["none"] != nil {
		t.Errorf("%d of %d documents: %v", len(found), count, err)
	}
	if found, err := s.BatchGet(t.Context(), "shop", nil); err != nil || len(found) != 0 {
		t.Errorf("no documents: %v, %v", found, err)
	}

	for _, tt := range []struct {
		before      string
		limit       int
		first, last int
	}{{"", 3, 129, 127}, {ids[127], 100, 126, 27}, {ids[2], 100, 1, 0}} {
		list, err := s.List(t.Context(), "shop", tt.before, tt.limit)
		if err != nil || len(list) != tt.first-tt.last+1 || list[0].ID != ids[tt.first] || list[len(list)-1].ID != ids[tt.last] {
			t.Errorf("before %s: %d documents, %v", tt.before, len(list), err)
		}
	}
	if list, err := s.List(t.Context(), "shop", ids[0], 10); err != nil || len(list) != 0 {
		t.Errorf("before the first: %v, %v", list, err)
	}

	for _, id := range []string{ids[5], ids[5], "none"} {
		if err := s.MarkReferenced(t.Context(), "shop", id); err != nil {
			t.Errorf("marking %s: %v", id, err)
		}
	}
	want := document("shop", 5)
	want.Referenced, want.By = true, []string{consent.ByNotice}
	if got, err := s.Get(t.Context(), "shop", ids[5]); err != nil || !cmp.Equal(want, got) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.Get(t.Context(), "shop", "none"); got != nil || err != nil {
		t.Errorf("marking made a document: %v, %v", got, err)
	}
}

// What DynamoDB leaves out of a batch is asked for again, and when it goes on
// leaving it out the read fails rather than tells that a document is missing.
func TestDocuments_unprocessed(t *testing.T) {
	t.Parallel()
	plain := awstest.New(t)
	table := plain.Getenv("DOCUMENTS_TABLE")
	if _, err := dynamo.NewDocuments(plain.Config, table).Create(t.Context(), document("shop", 1)); err != nil {
		t.Fatal(err)
	}
	id := document("shop", 1).ID
	for _, often := range []int{2, 100} {
		calls := 0
		e := plain.With(func(next http.RoundTripper) http.RoundTripper {
			return noticeWire(func(r *http.Request) (*http.Response, error) {
				if calls++; calls > often {
					return next.RoundTrip(r)
				}
				body := fmt.Sprintf(`{"Responses":{},"UnprocessedKeys":{%q:{"Keys":[{"site":{"S":"shop"},"id":{"S":%q}}],"ConsistentRead":true}}}`, table, id)
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r}, nil
			})
		})
		found, err := dynamo.NewDocuments(e.Config, table).BatchGet(t.Context(), "shop", []string{id})
		switch {
		case often == 2 && (err != nil || found[id] == nil || calls != 3):
			t.Errorf("left out twice: %v, %v in %d calls", found, err, calls)
		case often == 100 && !errs.Is(err, errs.Unavailable):
			t.Errorf("left out for ever: %v, %v", found, err)
		}
	}
}

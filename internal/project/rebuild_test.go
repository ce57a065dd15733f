package project

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

func (w *world) rebuild() Report {
	w.t.Helper()
	report, err := RebuildOn(w.t.Context(), w.base(w.env), nil)
	must(w.t, err)
	return report
}

// village posts what several persons on two sites said.
func village(w *world) {
	w.makeSite("s")
	w.makeSite("z")
	w.post(consent.Public, "s", "", "ada@example.test", pref("n", "true"))
	w.post(consent.Private, "s", "1", "ada@example.test", pref("n", "true"))
	w.post(consent.Private, "s", "2", "ada@example.test", pref("p", "false"))
	w.post(consent.Public, "s", "3", "eve@example.test", pref("n", "true"))
	w.post(consent.Public, "z", "1", "ada@example.test", pref("n", "true"))
	form := redact.String("<form>")
	w.submit("z", &consent.Submission{Source: consent.Public, Profile: consent.Profile{FullName: &consent.Text{Value: "Inés Roca"}}, Proofs: []consent.ProofText{{Form: &form}}})
}

// TestRebuild_fromNothing: with all stream records lost, a rebuild makes the
// views, and whatever else the projection keeps, from the ledger; the next one
// finds nothing to do.
func TestRebuild_fromNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	village(w)
	var told []int
	report, err := RebuildOn(t.Context(), w.base(w.env), func(done, changed int) { told = append(told, done) })
	must(t, err)
	if diff := cmp.Diff(Report{Subjects: 6, Written: 6}, report); diff != "" {
		t.Error(diff)
	}
	if len(told) == 0 || told[len(told)-1] != len(told) {
		t.Errorf("progress: %v", told)
	}
	if views := w.verify(); len(views) != 6 {
		t.Errorf("%d views", len(views))
	}
	for _, id := range []string{"s", "z"} {
		found, err := w.sites.Site(t.Context(), id)
		must(t, err)
		if diff := cmp.Diff([]string{"2026-03"}, found.Months); diff != "" {
			t.Errorf("months of %s: %s", id, diff)
		}
	}
	if row := w.rows("FORMS_TABLE"); len(row) != 1 || row[0]["stored"] == nil {
		t.Errorf("forms: %v", row)
	}

	before := w.text("SUBJECTS_TABLE")
	if diff := cmp.Diff(Report{Subjects: 6}, w.rebuild()); diff != "" {
		t.Errorf("again: %s", diff)
	}
	if diff := cmp.Diff(before, w.text("SUBJECTS_TABLE")); diff != "" {
		t.Errorf("the second rebuild has written: %s", diff)
	}
}

// TestRebuild_afterProjection: it has nothing to add to what the projection did.
func TestRebuild_afterProjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	village(w)
	w.settle(w.start())
	before := w.text("SUBJECTS_TABLE")
	if diff := cmp.Diff(Report{Subjects: 6}, w.rebuild()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, w.text("SUBJECTS_TABLE")); diff != "" {
		t.Error(diff)
	}
}

// TestRebuild_repairs: whatever is wrong with the view is found and put right.
func TestRebuild_repairs(t *testing.T) {
	t.Parallel()
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := func(row map[string]types.AttributeValue) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"pk": row["pk"], "sk": row["sk"]}
	}
	for name, tt := range map[string]struct {
		damage func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue)
		want   Report
	}{
		"a view is gone": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			del(key(view))
		}, Report{Subjects: 6, Written: 1}},
		"a view says something else": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			view["fullName"] = text("Mallory")
			put(view)
		}, Report{Subjects: 6, Written: 1}},
		"a view has other tokens than entries": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			view["tokens"] = &types.AttributeValueMemberL{Value: []types.AttributeValue{text("e:mallory")}}
			put(view)
		}, Report{Subjects: 6, Written: 1}},
		"a view was made at another time": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			view["created"] = text("20200101T000000.000Z#" + view["pk"].(*types.AttributeValueMemberS).Value)
			put(view)
		}, Report{Subjects: 6, Written: 1}},
		"a view cannot be read": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			view["answers"], view["created"] = text("["), text("x")
			put(view)
		}, Report{Subjects: 6, Written: 1}},
		"a view of nobody": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			v := &consent.SubjectView{Site: "s", Subject: w.hasher.Subject("s", "nobody"), SubjectID: "nobody", Created: w.clock, Updated: w.clock, Tokens: []consent.Token{{Field: consent.FieldName, Text: "mallory"}}}
			must(w.t, w.subjects.Save(w.t.Context(), nil, v))
		}, Report{Subjects: 6, Removed: 1}},
		"an entry is gone": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			del(key(entry))
		}, Report{Subjects: 6, Entries: 1}},
		"an entry too many": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			entry["sk"] = text("exaggerated#" + view["created"].(*types.AttributeValueMemberS).Value)
			put(entry)
		}, Report{Subjects: 6, Entries: 1}},
		"an entry of nobody": {func(w *world, put, del func(map[string]types.AttributeValue), view, entry map[string]types.AttributeValue) {
			entry["sk"] = text("example#20260101T000000.000Z#" + w.hasher.Subject("s", "nobody"))
			put(entry)
		}, Report{Subjects: 6, Entries: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			village(w)
			w.rebuild()
			subject := w.hasher.Subject("s", "3")
			db, table := dynamodb.NewFromConfig(w.env.Config), aws.String(w.env.Getenv("SUBJECTS_TABLE"))
			var view, entry map[string]types.AttributeValue
			for _, row := range w.rows("SUBJECTS_TABLE") {
				pk, sk := row["pk"].(*types.AttributeValueMemberS).Value, row["sk"].(*types.AttributeValueMemberS).Value
				switch {
				case pk == subject:
					view = row
				case pk == "s#e#ex" && strings.HasSuffix(sk, subject):
					entry = row
				}
			}
			if view == nil || entry == nil {
				t.Fatal("no row to damage")
			}
			tt.damage(w, func(row map[string]types.AttributeValue) {
				_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: row})
				must(t, err)
			}, func(key map[string]types.AttributeValue) {
				_, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table, Key: key})
				must(t, err)
			}, view, entry)

			if diff := cmp.Diff(tt.want, w.rebuild()); diff != "" {
				t.Error(diff)
			}
			w.verify()
			if diff := cmp.Diff(Report{Subjects: 6}, w.rebuild()); diff != "" {
				t.Errorf("again: %s", diff)
			}
		})
	}
}

// broken puts a view wrong again whenever it is written.
type broken struct{ Shelf }

func (b broken) Save(ctx context.Context, prior, next *consent.SubjectView) error {
	wrong := *next
	wrong.FullName = "Mallory"
	return b.Shelf.Save(ctx, prior, &wrong)
}

// TestRebuild_tells: what cannot be put right is counted.
func TestRebuild_tells(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(consent.Public, "s", "1", "", pref("n", "true"))
	w.post(consent.Public, "s", "2", "", pref("n", "true"))
	_, r, err := wire(t.Context(), w.base(w.env))
	must(t, err)
	r.projector.views = broken{r.views}
	report, err := r.run(t.Context())
	must(t, err)
	if diff := cmp.Diff(Report{Subjects: 2, Written: 2, Different: 2}, report); diff != "" {
		t.Error(diff)
	}
}

// TestRebuild_besideProjection: consents that arrive while it runs do it no harm,
// and it none to them.
func TestRebuild_besideProjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	village(w)
	h := w.start()
	n := 0
	report, err := RebuildOn(t.Context(), w.base(w.env), func(int, int) {
		if n++; n <= 4 {
			w.post(consent.Private, "s", fmt.Sprint(n), "new@example.test", pref("n", "false"))
			w.settle(h)
		}
	})
	must(t, err)
	if report.Different != 0 {
		t.Errorf("%+v", report)
	}
	w.verify()
}

// TestRebuild_stopped: it can be stopped and run again.
func TestRebuild_stopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	village(w)
	ctx, stop := context.WithCancel(t.Context())
	_, err := RebuildOn(ctx, w.base(w.env), func(done, _ int) {
		if done == 2 {
			stop()
		}
	})
	if err == nil {
		t.Fatal("it was not stopped")
	}
	w.clock = w.clock.Add(time.Hour)
	if report := w.rebuild(); report.Different != 0 || report.Subjects != 6 {
		t.Errorf("%+v", report)
	}
	w.verify()
}

package harness_test

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/harness"
)

// An objection to one thing leaves the others as they are, at receipt and after
// the systems were told.
func TestObjection_named(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{
		"subject":     map[string]any{"id": "ines", "email": ines},
		"preferences": map[string]any{"newsletter": true, "ads": true},
	})
	said := func(when string) {
		t.Helper()
		for preference, want := range map[string]bool{"newsletter": true, "ads": false} {
			if a := w.Must(t, 200, w.Secret, "GET", "/decide?subject_id=ines&preference="+preference, nil); a.Get("granted") != want {
				t.Errorf("%s: %s: %s", when, preference, a.Body)
			}
		}
	}
	id := open(t, w, "objection", map[string]any{"preferences": []string{"ads"}})
	said("at receipt")
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	until(t, w, id, "closed", 40*24*time.Hour)
	said("in the end")
}

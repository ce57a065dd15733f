package harness_test

import (
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
)

const ines = "ines@example.test"

// consents puts two consents of a person into the ledger.
func consents(t testing.TB, w *harness.World, id, email string) {
	t.Helper()
	for range 2 {
		w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{
			"subject":     map[string]any{"id": id, "email": email, "full_name": "Inès Martin"},
			"preferences": map[string]any{"newsletter": true},
			"proofs":      []any{map[string]any{"content": `{"email":"` + email + `"}`, "form": "<form>" + id + "</form>"}},
		})
	}
}

// open starts a request as the operator does, with identity checked.
func open(t testing.TB, w *harness.World, kind string, more map[string]any) string {
	t.Helper()
	body := map[string]any{
		"type": kind, "subject": map[string]any{"email": ines}, "channel": "email", "language": "en", "residence": "FR",
		"identity": map[string]any{"method": "operator", "evidence": "called back on the number of the contract"},
	}
	for k, v := range more {
		body[k] = v
	}
	return w.Must(t, 200, w.Roles[keys.Operator], "POST", "/requests", body).Text("id")
}

func state(t testing.TB, w *harness.World, id string) string {
	t.Helper()
	return w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id, nil).Text("state")
}

// approve reads the plan and approves exactly this one.
func approve(t testing.TB, w *harness.World, id string) {
	t.Helper()
	plan := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/plan", nil)
	w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/approve", map[string]any{"digest": plan.Text("digest"), "why": "checked"})
}

// until lets the clock run until the request is in a state.
func until(t testing.TB, w *harness.World, id, want string, limit time.Duration) {
	t.Helper()
	w.Engine.RunUntilIdle(t.Context())
	if !w.Engine.RunUntil(t.Context(), limit, func() bool { return state(t, w, id) == want }) {
		t.Fatalf("the request is %s, not %s, after %v\n%s", state(t, w, id), want, limit, w.Log)
	}
}

func TestErasure(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	until(t, w, id, "answered", time.Hour)
	if m := w.LastMail(t, ines); !strings.Contains(m.Text, id) {
		t.Errorf("the answer does not name the request: %s", m.Text)
	}
	until(t, w, id, "closed", 40*24*time.Hour)
	if got := w.Do(t, w.Secret, "GET", "/subjects/ines", nil); got.Status != 404 {
		t.Errorf("the subject is still there: %d %s", got.Status, got.Body)
	}
	w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id+"/certificate", nil)
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "access", map[string]any{"language": "fr"})
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	until(t, w, id, "waiting_release", time.Hour)
	pack := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/package", nil)
	w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/release", map[string]any{"package": pack.Text("digest"), "why": "read"})
	until(t, w, id, "answered", time.Hour)
	got := w.Follow(t, w.LastMail(t, ines).Link())
	if got.Status != 303 || got.Header.Get("Location") == "" {
		t.Fatalf("the link to the package: %d %s", got.Status, got.Body)
	}
	until(t, w, id, "closed", 40*24*time.Hour)
}

// inDesk puts a person with tickets into the help desk.
func inDesk(w *harness.World, email string) string {
	id := w.Desk.AddUser(fake.User{Name: "Inès Martin", Email: email, Verified: true})
	for range 2 {
		w.Desk.AddTicket(id, "A question", "Where is my parcel?", "closed")
	}
	return id
}

func TestErasure_vendor(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{})
	consents(t, w, "ines", ines)
	inDesk(w, ines)
	w.Engine.Advance(t.Context(), time.Hour) // its search index comes after
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	plan := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/plan", nil)
	t.Logf("%s", plan.Body)
	approve(t, w, id)
	until(t, w, id, "answered", 40*24*time.Hour)
	until(t, w, id, "closed", 40*24*time.Hour)
	if found := w.Desk.Find(ines); found != "" {
		t.Errorf("the help desk still has user %s", found)
	}
}

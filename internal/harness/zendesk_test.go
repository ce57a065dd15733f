package harness_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	chat "github.com/avow-consent/avow/internal/connector/zendeskchat/fake"
	messaging "github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	support "github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
)

// zendesk is a world in which Ines is everywhere.
func zendesk(t *testing.T) *harness.World {
	t.Helper()
	w := harness.New(t, harness.Options{Company: vendors.Zendesk})
	consents(t, w, "ines", ines)
	return w
}

// guard fails the test when a deletion of the person's user in Support leaves
// while a chat, a conversation or a ticket of theirs is there. It returns what
// was deleted, in order.
func guard(t *testing.T, w *harness.World) *[]string {
	t.Helper()
	var order []string
	w.OnCall = func(r *http.Request) {
		if r.Method != http.MethodDelete {
			return
		}
		path := r.URL.Path
		switch {
		case strings.Contains(path, "/chats/"):
			order = append(order, "chat")
		case strings.HasPrefix(path, "/sc/"):
			order = append(order, "conversation")
		case strings.Contains(path, "tickets"):
			order = append(order, "ticket")
		case strings.Contains(path, "users/"):
			order = append(order, "user")
			if left := remains(w); len(left) > 0 {
				t.Errorf("%s leaves while there are %v", path, left)
			}
		}
	}
	return &order
}

// remains are the kinds of record that Zendesk holds of Ines outside her user.
func remains(w *harness.World) (left []string) {
	if len(w.Company.Chat.Find(ines)) > 0 || slices.ContainsFunc(w.Company.Chat.State().Chats, func(c chat.Chat) bool { return c.ID == company.Chat }) {
		left = append(left, "chats")
	}
	if w.Company.Messaging.Find(ines) != "" {
		left = append(left, "conversations")
	}
	user := w.Company.Support.Find(ines)
	if slices.ContainsFunc(w.Company.Support.State().Tickets, func(t support.Ticket) bool { return user != 0 && t.Requester == user && t.State == support.Live }) {
		left = append(left, "tickets")
	}
	return left
}

// Chats, then messages and conversations, then tickets, then the user: the order
// of the vendor, derived from what the connectors say.
func TestZendesk_officialOrder(t *testing.T) {
	t.Parallel()
	w := zendesk(t)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	stage := map[string]int{}
	plan := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/plan", nil)
	for n := range 5 {
		for m := range 5 {
			if system := plan.Text(fmt.Sprintf("stages.%d.%d.system", n, m)); system != "" {
				stage[system] = n
			}
		}
	}
	if !(stage[vendors.Chat] < stage[vendors.Message] && stage[vendors.Chat] < stage[vendors.Messaging] &&
		stage[vendors.Message] < stage[vendors.Support] && stage[vendors.Messaging] < stage[vendors.Support]) {
		t.Errorf("the plan's stages: %v", stage)
	}
	order := guard(t, w)
	w.Play(t, id, 60*24*time.Hour)
	if compact := slices.Compact(slices.Clone(*order)); !slices.Equal(compact, []string{"chat", "conversation", "ticket", "user"}) {
		t.Errorf("deleted in the order %v", compact)
	}
	if r := get(t, w, id); r.State != request.Closed || len(remains(w)) > 0 || w.Company.Support.Find(ines) != 0 {
		t.Errorf("the request is %s, left are %v", r.State, remains(w))
	}
	certificate := string(w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id+"/certificate", nil).Body)
	for _, want := range []string{"support complete", "chat complete", "explore complete"} {
		if !strings.Contains(certificate, want) {
			t.Errorf("the certificate has no %q", want)
		}
	}
	for _, planted := range []string{ines, "Martin", "+33655000101", "customer-1001", fmt.Sprint(company.People()[0].ZendeskID()), company.Chat} {
		if strings.Contains(certificate, planted) {
			t.Errorf("the certificate holds %q", planted)
		}
	}
	for name, fake := range w.Company.Fakes() {
		if n := fake.Beyond(); n > 0 {
			t.Errorf("%s: %d calls beyond a limit", name, n)
		}
	}
}

// Whatever fails, and however often, no user is deleted before what it leads to.
func TestZendesk_noUserFirst(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]struct {
		system string
		fakekit.Failure
	}{
		"chats cannot be deleted":         {vendors.Chat, fakekit.Failure{Method: "DELETE", Status: 403}},
		"chats fail after they went":      {vendors.Chat, fakekit.Failure{Method: "DELETE", Status: 500, Times: 40, Applied: true}},
		"conversations cannot be deleted": {vendors.Messaging, fakekit.Failure{Method: "DELETE", Status: 403}},
		"messaging is away":               {vendors.Messaging, fakekit.Failure{Status: 503}},
		"tickets cannot be deleted":       {vendors.Support, fakekit.Failure{Method: "DELETE", Route: "/tickets/destroy_many", Status: 403}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := zendesk(t)
			guard(t, w)
			id := open(t, w, "erasure", nil)
			until(t, w, id, "waiting_approval", time.Hour)
			approve(t, w, id)
			fake := w.Company.Fakes()[failure.system]
			fake.Fail(failure.Failure)
			w.Engine.RunUntilIdle(t.Context())
			done(t, w, id, vendors.Message)
			for range 7 {
				w.Engine.Advance(t.Context(), 24*time.Hour)
				w.Sweep(t)
			}
			if failure.Times == 0 && w.Company.Support.Find(ines) == 0 {
				t.Error("the user is gone")
			}
			fake.Mend()
			w.Play(t, id, 90*24*time.Hour)
			if r := get(t, w, id); r.State != request.Closed || w.Company.Support.Find(ines) != 0 {
				t.Errorf("once it is mended the request is %s, the user %d", r.State, w.Company.Support.Find(ines))
			}
		})
	}
}

// Support refuses its login while the person is looked for, and the plan is
// approved as it is: what it knows of chats is learned before it is destroyed.
func TestZendesk_supportFoundLate(t *testing.T) {
	t.Parallel()
	w := zendesk(t)
	order := guard(t, w)
	w.Company.Support.Fail(fakekit.Failure{Status: 403})
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Company.Support.Mend()
	w.Play(t, id, 90*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed || w.Company.Support.Find(ines) != 0 {
		t.Errorf("the request is %s, the user %d", r.State, w.Company.Support.Find(ines))
	}
	if left := remains(w); len(left) > 0 || len(*order) == 0 {
		t.Errorf("left are %v, deleted were %v", left, *order)
	}
}

// Who is in no system when they are looked for, and in one a day after the answer,
// is found by the look.
func TestZendesk_cameAfterTheAnswer(t *testing.T) {
	t.Parallel()
	const late = "late@example.test"
	w := harness.New(t, harness.Options{Company: vendors.Zendesk})
	id := open(t, w, "erasure", map[string]any{"subject": map[string]any{"email": late}})
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Engine.RunUntilIdle(t.Context())
	done(t, w, id, vendors.Message)
	until(t, w, id, "answered", time.Hour)
	w.Company.Messaging.AddUser(messaging.User{
		Profile: map[string]string{"email": late}, Identities: []messaging.Identity{{Type: "email", Value: late, Verification: "sso"}},
	})
	if !decide(t, w, id, vendors.Messaging, w.Roles[keys.Operator], map[string]any{"decision": request.Retry, "why": "it came after the search"}) {
		t.Fatal("nobody is told")
	}
	w.Play(t, id, 60*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed || w.Company.Messaging.Find(late) != "" {
		t.Errorf("the request is %s, the user %q", r.State, w.Company.Messaging.Find(late))
	}
	certificate := w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id+"/certificate", nil)
	if text := string(certificate.Body); !strings.Contains(text, `"look":1`) {
		t.Errorf("the certificate knows of no look: %s", text)
	}
}

// done says that a system's task was done by hand, once it is there.
func done(t testing.TB, w *harness.World, id, system string) {
	t.Helper()
	decide(t, w, id, system, w.Roles[keys.Operator], map[string]any{
		"decision": request.Done, "why": "the search is empty", "evidence": map[string]any{"document": "c2NyZWVu"},
	})
}

// decide says what becomes of a system's task; false when there is none within
// three days.
func decide(t testing.TB, w *harness.World, id, system, key string, body map[string]any) bool {
	t.Helper()
	var task string
	find := func() bool {
		tasks, err := w.Store(t).Tasks(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range tasks {
			if one.System == system && one.Decided.IsZero() && one.Kind.Blocks() {
				task = one.ID
			}
		}
		return task != ""
	}
	if !find() && !w.Engine.RunUntil(t.Context(), 3*24*time.Hour, find) {
		return false
	}
	w.Must(t, 200, key, "POST", "/requests/"+id+"/tasks/"+task, body)
	return true
}

// The older inbox blocks the user until it is emptied or waived with a ground.
func TestZendesk_messageWaived(t *testing.T) {
	t.Parallel()
	w := zendesk(t)
	order := guard(t, w)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	until(t, w, id, "waiting_operator", 3*24*time.Hour)
	w.Engine.Advance(t.Context(), 5*24*time.Hour)
	if slices.Contains(*order, "ticket") || slices.Contains(*order, "user") {
		t.Errorf("deleted while nobody has looked into the inbox: %v", slices.Compact(*order))
	}
	if !decide(t, w, id, vendors.Message, w.Roles[keys.Officer], map[string]any{
		"decision": request.Waive, "why": "the messages prove a claim", "ground": "Art. 17(3)(e) GDPR",
	}) {
		t.Fatal("there is no task")
	}
	w.Play(t, id, 60*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed || w.Company.Support.Find(ines) != 0 {
		t.Errorf("the request is %s", r.State)
	}
}

// Who writes again is found by the look after a day, put to an operator, and
// erased again.
func TestZendesk_residueAfterADay(t *testing.T) {
	t.Parallel()
	w := zendesk(t)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Engine.RunUntilIdle(t.Context())
	done(t, w, id, vendors.Message)
	until(t, w, id, "answered", 20*24*time.Hour)
	w.Company.Messaging.AddUser(messaging.User{
		Profile: map[string]string{"givenName": "Inès", "email": ines}, Identities: []messaging.Identity{{Type: "email", Value: ines, Verification: "sso"}},
	})
	if !decide(t, w, id, vendors.Messaging, w.Roles[keys.Operator], map[string]any{"decision": request.Retry, "why": "she has written again"}) {
		t.Fatal("nobody is told")
	}
	w.Play(t, id, 60*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed || w.Company.Messaging.Find(ines) != "" {
		t.Errorf("the request is %s, the user %q", r.State, w.Company.Messaging.Find(ines))
	}
}

// Support is away for a week and comes back with other credentials.
func TestZendesk_credentials(t *testing.T) {
	t.Parallel()
	w := zendesk(t)
	guard(t, w)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Engine.RunUntilIdle(t.Context())
	done(t, w, id, vendors.Message)
	w.Company.Support.Fail(fakekit.Failure{Status: 503, HTML: true})
	for range 7 {
		w.Engine.Advance(t.Context(), 24*time.Hour)
		w.Sweep(t)
	}
	if r := get(t, w, id); r.State != request.Running || r.Open != 0 {
		t.Fatalf("after a week the request is %s with %d tasks", r.State, r.Open)
	}
	w.Company.Support.Mend()
	w.Company.Support.SetSecret("another-secret")
	until(t, w, id, "waiting_operator", 3*24*time.Hour)
	w.SetSecret(t, vendors.Support, `{"client_id":"avow","client_secret":"another-secret"}`)
	w.Engine.Advance(t.Context(), time.Minute)
	w.Play(t, id, 60*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed || w.Company.Support.Find(ines) != 0 {
		t.Errorf("the request is %s", r.State)
	}
}

// An access request brings what each product holds, and nothing is changed.
func TestZendesk_access(t *testing.T) {
	t.Parallel()
	w := zendesk(t)
	before := w.Company.Support.State()
	id := open(t, w, "access", nil)
	w.Play(t, id, 60*24*time.Hour)
	r := get(t, w, id)
	if r.State != request.Closed || r.Package == nil || len(w.Company.Support.State().Tickets) != len(before.Tickets) || len(remains(w)) != 3 {
		t.Fatalf("the request is %s, left are %v", r.State, remains(w))
	}
	writes := map[string]int{}
	for name, fake := range w.Company.Fakes() {
		for _, c := range fake.Calls() {
			if c.Method != http.MethodGet {
				writes[name]++
			}
		}
	}
	if len(writes) > 0 {
		t.Errorf("an export writes: %v", slices.Sorted(maps.Keys(writes)))
	}
}

// Leo shares a telephone with Mo: Mo is not touched unless somebody says so.
func TestZendesk_sharedTelephone(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Company: vendors.Zendesk})
	id := open(t, w, "erasure", map[string]any{"subject": map[string]any{"email": company.Leo}})
	w.Play(t, id, 60*24*time.Hour)
	if w.Company.Support.Find(company.Leo) != 0 || w.Company.Support.Find(company.Mo) == 0 || w.Company.Messaging.Find(company.Mo) == "" || len(w.Company.Chat.Find(company.Mo)) == 0 {
		t.Errorf("Leo %d, Mo %d", w.Company.Support.Find(company.Leo), w.Company.Support.Find(company.Mo))
	}
	list := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/log?limit=100", nil)
	if strings.Contains(string(list.Body), url.QueryEscape(company.Leo)) || strings.Contains(string(list.Body), company.Leo) {
		t.Error("the log names him")
	}
}

// An employee asks: the approver sees what their name in other people's chats
// would cost, and no customer loses anything.
func TestZendesk_agent(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Company: vendors.Zendesk})
	before := len(w.Company.Chat.State().Chats)
	id := open(t, w, "erasure", map[string]any{"agent": true, "subject": map[string]any{"email": company.Agent}})
	until(t, w, id, "waiting_approval", time.Hour)
	plan := string(w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/plan", nil).Body)
	if !strings.Contains(plan, "other people") && !strings.Contains(plan, "of others") {
		t.Errorf("the plan does not say whose transcripts have the agent's name: %s", plan)
	}
	approve(t, w, id)
	w.Engine.RunUntilIdle(t.Context())
	w.Engine.Advance(t.Context(), 24*time.Hour)
	if after := len(w.Company.Chat.State().Chats); after != before {
		t.Errorf("%d of %d chats are left", after, before)
	}
	tasks, err := w.Store(t).Tasks(t.Context(), id)
	if err != nil || !slices.ContainsFunc(tasks, func(one request.Task) bool { return one.System == vendors.Chat }) {
		t.Errorf("nobody is asked about the chats: %+v, %v", tasks, err)
	}
	for _, p := range company.People()[:20] {
		if w.Company.Support.Find(p.Email) == 0 || w.Company.Messaging.Find(p.Email) == "" {
			t.Fatalf("customer %d is gone", p.N)
		}
	}
}

package dynamo_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

func messages(t testing.TB) *dynamo.Messages {
	e := awstest.New(t)
	return dynamo.NewMessages(e.Config, e.Getenv("MESSAGES_TABLE"), func() time.Time { return epoch })
}

var unmask = cmp.Transformer("unmask", func(s redact.String) string { return s.Reveal() })

func TestMessages_contact(t *testing.T) {
	t.Parallel()
	s := messages(t)
	if c, err := s.Contact(t.Context(), "p"); c != nil || err != nil {
		t.Fatalf("%v, %v", c, err)
	}
	first := chat.Contact{Person: "p", Phone: "+33600000001", Language: "fr", LastIn: epoch, Expires: epoch.Add(time.Hour)}
	must(t, s.Meet(t.Context(), first))
	older := chat.Contact{Person: "p", UserID: "FR.1", Language: "en", LastIn: epoch.Add(-time.Minute), Expires: epoch.Add(time.Minute)}
	must(t, s.Meet(t.Context(), older)) // posts come in any order
	later := chat.Contact{Person: "p", UserID: "FR.1", LastIn: epoch.Add(time.Minute), Expires: epoch.Add(2 * time.Hour)}
	for range 2 {
		must(t, s.Meet(t.Context(), later))
	}
	got, err := s.Contact(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	want := later
	want.Phone, want.Language = first.Phone, first.Language
	if diff := cmp.Diff(&want, got, unmask); diff != "" {
		t.Error(diff)
	}
	over := chat.Contact{Person: "q", Phone: "+33600000002", LastIn: epoch.Add(-time.Hour), Expires: epoch}
	must(t, s.Meet(t.Context(), over))
	if c, err := s.Contact(t.Context(), "q"); c != nil || err != nil {
		t.Errorf("its time is over: %v, %v", c, err)
	}
	anew := chat.Contact{Person: "q", UserID: "FR.2", LastIn: epoch, Expires: epoch.Add(time.Hour)}
	for range 2 {
		must(t, s.Meet(t.Context(), anew))
		if got, err = s.Contact(t.Context(), "q"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&anew, got, unmask); diff != "" {
			t.Errorf("what was over is back: %s", diff)
		}
	}
}

func TestMessages_seen(t *testing.T) {
	t.Parallel()
	s := messages(t)
	ask := func(message string) bool {
		seen, err := s.Seen(t.Context(), "p", message)
		must(t, err)
		return seen
	}
	if ask("m") {
		t.Error("before anything was kept")
	}
	in := chat.Incoming{Person: "p", Message: "m", At: epoch, Type: "image", Media: "123", Expires: epoch.Add(time.Hour)}
	for range 2 {
		must(t, s.Keep(t.Context(), in))
	}
	if !ask("m") || ask("n") {
		t.Error("m was kept, n was not")
	}
	rows, next, err := s.Rows(t.Context(), "p", "", 10)
	if err != nil || next != "" || len(rows) != 1 {
		t.Fatalf("%v, %q, %v", rows, next, err)
	}
	if diff := cmp.Diff(&in, rows[0].Incoming, unmask); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		must(t, s.Remove(t.Context(), "p", rows[0].Entry))
	}
	if ask("m") {
		t.Error("it was removed")
	}
}

func TestMessages_outgoing(t *testing.T) {
	t.Parallel()
	s := messages(t)
	o := chat.Outgoing{
		Person: "p", ID: "id", Purpose: chat.Invite, System: "whatsapp", To: "+33600000001", Language: "fr", About: "consent", Preference: "offers",
		Text: "what was asked", Brief: "in short", Template: "invitation", Version: "2", State: chat.Due, At: epoch, Expires: epoch.Add(time.Hour),
	}
	for range 2 {
		must(t, s.Note(t.Context(), o))
	}
	read := func() chat.Outgoing {
		got, err := s.Message(t.Context(), "p", "id")
		if err != nil || got == nil {
			t.Fatalf("%v, %v", got, err)
		}
		return *got
	}
	if diff := cmp.Diff(o, read(), unmask); diff != "" {
		t.Error(diff)
	}
	if err := s.Settle(t.Context(), chat.Outgoing{Person: "p", ID: "none", State: chat.Sent}); !errs.Is(err, errs.Conflict) {
		t.Errorf("settling what does not exist: %v", err)
	}
	must(t, s.Report(t.Context(), "p", "hash", "sent", 0)) // of a message that nobody knows
	o.State, o.Sent, o.Message, o.Text, o.Brief = chat.Sent, epoch.Add(time.Minute), "wamid.1", "", ""
	must(t, s.Bind(t.Context(), o, "hash"))
	for range 2 { // the reply may be lost
		must(t, s.Settle(t.Context(), o))
	}
	late := o // whoever has found it on its way for too long
	late.State, late.Message, late.Reason = chat.Unknown, "", "interrupted"
	if err := s.Settle(t.Context(), late); !errs.Is(err, errs.Conflict) {
		t.Errorf("what was sent is unknown again: %v", err)
	}
	for _, value := range []string{"delivered", "sent", "read", "delivered", "read"} { // twice and in any order
		must(t, s.Report(t.Context(), "p", "hash", value, 0))
	}
	o.Delivery = "read"
	if diff := cmp.Diff(o, read(), unmask); diff != "" {
		t.Errorf("the text goes once it is sent: %s", diff)
	}
	must(t, s.Report(t.Context(), "p", "hash", "failed", 131026))
	if got := read(); got.Delivery != "failed" || got.Code != 131026 {
		t.Errorf("%+v", got)
	}
}

// However many try at once, one sends a message.
func TestMessages_take(t *testing.T) {
	t.Parallel()
	s := messages(t)
	must(t, s.Note(t.Context(), chat.Outgoing{Person: "p", ID: "id", Purpose: chat.Stopped, At: epoch, Expires: epoch.Add(time.Hour)}))
	var took atomic.Int32
	var group sync.WaitGroup
	for _, by := range []string{"a", "b", "c", "d"} {
		group.Go(func() {
			for range 2 { // a reply may be lost
				ok, err := s.Take(context.WithoutCancel(t.Context()), "p", "id", by, epoch)
				if err != nil {
					t.Error(err)
				}
				if ok {
					took.Add(1)
				}
			}
		})
	}
	group.Wait()
	if took.Load() != 2 {
		t.Errorf("it was taken %d times by attempts of two tries each", took.Load())
	}
	if ok, err := s.Take(t.Context(), "p", "none", "a", epoch); ok || err != nil {
		t.Errorf("what does not exist: %v, %v", ok, err)
	}
}

func TestMessages_silence(t *testing.T) {
	t.Parallel()
	type act struct {
		reason chat.Reason
		stop   bool
		at     int // minutes
		by     string
		first  bool
	}
	for name, tt := range map[string]struct {
		acts []act
		want bool
	}{
		"nothing":            {nil, false},
		"a stop":             {[]act{{chat.ByPerson, true, 1, "a", true}}, true},
		"repeated":           {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPerson, true, 1, "a", true}, {chat.ByPerson, true, 2, "b", false}}, true},
		"and allowed again":  {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPerson, false, 2, "b", false}}, false},
		"in reverse":         {[]act{{chat.ByPerson, false, 2, "b", false}, {chat.ByPerson, true, 1, "a", false}}, false},
		"at the same time":   {[]act{{chat.ByPerson, false, 1, "b", false}, {chat.ByPerson, true, 1, "a", true}}, true},
		"the other way":      {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPerson, false, 1, "b", false}}, true},
		"between two stops":  {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPerson, true, 3, "c", false}, {chat.ByPerson, false, 2, "b", false}}, true},
		"stopped twice anew": {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPerson, false, 2, "b", false}, {chat.ByPerson, true, 3, "c", true}}, true},
		"each for itself":    {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPlatform, true, 1, "p", true}, {chat.ByPlatform, false, 2, "q", false}}, true},
		"both lifted":        {[]act{{chat.ByPerson, true, 1, "a", true}, {chat.ByPlatform, true, 1, "p", true}, {chat.ByPlatform, false, 2, "q", false}, {chat.ByPerson, false, 2, "q", false}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := messages(t)
			for i, a := range tt.acts {
				first, err := s.Silence(t.Context(), "address", a.reason, a.stop, epoch.Add(time.Duration(a.at)*time.Minute), a.by)
				if err != nil || first != a.first {
					t.Errorf("act %d: %v, %v", i, first, err)
				}
			}
			if got, err := s.Silenced(t.Context(), "address"); (len(got) > 0) != tt.want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			if got, err := s.Silenced(t.Context(), "another"); len(got) > 0 || err != nil {
				t.Errorf("another address: %v, %v", got, err)
			}
		})
	}
}

func TestMessages_rows(t *testing.T) {
	t.Parallel()
	s := messages(t)
	must(t, s.Meet(t.Context(), chat.Contact{Person: "p", Phone: "+33600000001", LastIn: epoch, Expires: epoch.Add(time.Hour)}))
	for _, id := range []string{"1", "2", "3"} {
		must(t, s.Note(t.Context(), chat.Outgoing{Person: "p", ID: id, Purpose: chat.Stopped, At: epoch, Expires: epoch.Add(time.Hour)}))
	}
	var found []string
	for after := ""; ; {
		rows, next, err := s.Rows(t.Context(), "p", after, 2)
		must(t, err)
		for _, r := range rows {
			found = append(found, r.Entry)
		}
		if next == "" {
			break
		}
		after = next
	}
	if diff := cmp.Diff([]string{"CONTACT", "OUT#1", "OUT#2", "OUT#3"}, found); diff != "" {
		t.Error(diff)
	}
}

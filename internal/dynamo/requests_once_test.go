package dynamo_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

func TestToken(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	r.Epoch = 3
	must(t, s.Write(t.Context(), request.Change{Request: r}))
	if token, err := s.Token(t.Context(), r.ID, request.WaitIdentity); token != nil || err != nil {
		t.Errorf("none yet: %v, %v", token, err)
	}
	put := func(id string, epoch int, token string) error {
		return s.PutToken(t.Context(), id, request.Token{Wait: request.WaitIdentity, Token: token, Epoch: epoch})
	}
	must(t, put(r.ID, 3, "third"))
	for name, err := range map[string]error{"an older run": put(r.ID, 2, "second"), "no request": put("none", 9, "x")} {
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, put(r.ID, 3, "third, again"))
	token, err := s.Token(t.Context(), r.ID, request.WaitIdentity)
	if err != nil || token.Token != "third, again" || token.Epoch != 3 {
		t.Errorf("%+v, %v", token, err)
	}
}

func TestDecision(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	wait := request.WaitApproval("abc")
	if d, err := s.Decision(t.Context(), r.ID, wait); d != nil || err != nil {
		t.Errorf("none yet: %v, %v", d, err)
	}
	if err := s.Delivered(t.Context(), r.ID, wait, epoch); !errs.Is(err, errs.NotFound) {
		t.Errorf("delivering none: %v", err)
	}
	must(t, s.Write(t.Context(), request.Change{Request: r, Decision: &request.Decision{Wait: wait, Outcome: "approved", At: epoch}}))
	must(t, s.Write(t.Context(), request.Change{Request: r, Decision: &request.Decision{Wait: request.WaitIdentity, Outcome: "proven", At: epoch}}))
	for range 2 {
		must(t, s.Delivered(t.Context(), r.ID, wait, epoch.Add(time.Hour)))
	}
	list, err := s.Decisions(t.Context(), r.ID)
	if err != nil || len(list) != 2 || !list[0].Delivered.Equal(epoch.Add(time.Hour)) || !list[1].Delivered.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestUseLink: a link is used once, however many try at once, and everybody
// hears what the first use has led to.
func TestUseLink(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	link := request.Link{Hash: "abc", Request: r.ID, Site: "s", Purpose: "identity", Made: epoch, Expires: epoch.Add(time.Hour)}
	for range 2 {
		must(t, s.PutLink(t.Context(), link))
	}
	other := link
	other.Purpose = "package"
	if err := s.PutLink(t.Context(), other); !errs.Is(err, errs.Conflict) {
		t.Errorf("another one with the hash: %v", err)
	}
	var mu sync.Mutex
	var won, heard []string
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			first, used, err := s.UseLink(context.Background(), "abc", fmt.Sprint("result ", i), epoch.Add(time.Minute))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if heard = append(heard, first); used {
				won = append(won, first)
			}
		})
	}
	wait.Wait()
	if len(won) != 1 || len(slices.Compact(heard)) != 1 || heard[0] != won[0] {
		t.Errorf("winners %q, heard %q", won, heard)
	}
	got, err := s.Link(t.Context(), "abc")
	if err != nil || got.Result != won[0] || !got.Used.Equal(epoch.Add(time.Minute)) || got.Purpose != "identity" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.PutLink(t.Context(), link); !errs.Is(err, errs.Conflict) {
		t.Errorf("again, after its use: %v", err)
	}
	for _, hash := range []string{"none", "", "a#b"} {
		if _, err := s.Link(t.Context(), hash); !errs.Is(err, errs.NotFound) {
			t.Errorf("link %q: %v", hash, err)
		}
	}
	if _, _, err := s.UseLink(t.Context(), "none", "x", epoch); !errs.Is(err, errs.NotFound) {
		t.Errorf("using none: %v", err)
	}
}

// TestMail: of many that mean to send the same letter one may.
func TestMail(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	m := request.Mail{Key: "answer.1", Kind: "answer", At: epoch}
	if err := s.Sent(t.Context(), r.ID, m.Key, "x", epoch); !errs.Is(err, errs.NotFound) {
		t.Errorf("sent without intent: %v", err)
	}
	var mu sync.Mutex
	won := 0
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			err := s.PutMail(context.Background(), r.ID, m)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	must(t, s.Sent(t.Context(), r.ID, m.Key, "id-7", epoch.Add(time.Second)))
	got, err := s.Mail(t.Context(), r.ID, m.Key)
	if err != nil || won != 1 || got.Message != "id-7" || !got.Sent.Equal(epoch.Add(time.Second)) || got.Kind != "answer" {
		t.Errorf("%d winners, %+v, %v", won, got, err)
	}
	if got, err := s.Mail(t.Context(), r.ID, "answer.2"); got != nil || err != nil {
		t.Errorf("another letter: %v, %v", got, err)
	}
}

// TestOnce_faults: whoever was first hears so, also after a lost reply.
func TestOnce_faults(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	for n, fault := range slices.Concat(faulty.Before, faulty.After) {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			s, net := broken(t, e)
			r := create(t, s, requestOf(t, "s", n))
			hash := fmt.Sprint("hash", n)
			link := request.Link{Hash: hash, Request: r.ID, Site: "s", Expires: epoch}
			again := func(operation string) { net.Break(faulty.Nth("dynamodb."+operation, 1, fault)) }
			again("TransactWriteItems")
			must(t, s.PutLink(t.Context(), link))
			again("TransactWriteItems")
			must(t, s.PutToken(t.Context(), r.ID, request.Token{Wait: request.WaitIdentity, Epoch: 1}))
			again("UpdateItem")
			if first, used, err := s.UseLink(t.Context(), hash, "here", epoch); first != "here" || !used || err != nil {
				t.Errorf("the first use: %q, %v, %v", first, used, err)
			}
			again("PutItem")
			must(t, s.PutMail(t.Context(), r.ID, request.Mail{Key: "k"}))
			again("UpdateItem")
			must(t, s.Sent(t.Context(), r.ID, "k", "id", epoch))
			again("UpdateItem")
			if n, err := s.Count(t.Context(), "counter"+hash, epoch.Add(time.Hour)); err != nil || n < 1 || n > 2 {
				t.Errorf("counted %d, %v", n, err)
			}
			r.State = request.Closed
			must(t, s.Write(t.Context(), request.Change{Request: r}))
			again("UpdateItem")
			must(t, s.Forget(t.Context(), r.ID))
			again("DeleteItem")
			must(t, s.Forget(t.Context(), r.ID))
		})
	}
}

// TestOnce_held: a transaction at the same row is waited for, within bounds.
func TestOnce_held(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	create(t, requests(t, e), requestOf(t, "s", 1))
	for name, times := range map[string]int{"passes": 2, "lasts": 99} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := &refusing{code: "TransactionConflictException", times: times}
			s := requests(t, e.With(net.wrap))
			_, err := s.Count(t.Context(), name, epoch.Add(time.Hour))
			if times < 9 && err != nil || times > 9 && !errs.Is(err, errs.Unavailable) {
				t.Errorf("after %d calls: %v", net.asked.Load(), err)
			}
		})
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	e, net := awstest.New(t), &faulty.Transport{}
	now := epoch
	s := dynamo.NewRequests(e.With(net.Wrap).Config, e.Getenv("REQUESTS_TABLE"), hasher(t), func() time.Time { return now }, freshID(t))
	end := epoch.Add(time.Hour)
	var mu sync.Mutex
	seen := map[int]bool{}
	var wait sync.WaitGroup
	for range 30 {
		wait.Go(func() {
			n, err := s.Count(context.Background(), "ip", end)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[n] = true
		})
	}
	wait.Wait()
	if len(seen) != 30 || !seen[1] || !seen[30] {
		t.Errorf("counted %v", seen)
	}
	for _, tt := range []struct {
		name    string
		at      time.Time
		expires time.Time
		want    int
	}{
		{"ip", end.Add(-time.Millisecond), end.Add(time.Hour), 31},                         // the first one's end holds
		{"other", end, end.Add(time.Hour), 1},                                              //
		{"ip", end, end.Add(time.Hour), 1},                                                 // begun anew, whether or not DynamoDB has deleted it
		{"ip", end.Add(time.Minute), end.Add(2 * time.Hour), 2},                            //
		{"ip", end.Add(time.Hour + time.Millisecond), end.Add(time.Hour + time.Second), 1}, //
	} {
		now = tt.at
		// One whose reply the emulator loses counts twice: never too few.
		n, err := s.Count(t.Context(), tt.name, tt.expires)
		if n < tt.want || n > tt.want+lost(net) || err != nil {
			t.Errorf("%s at %v: %d, %v; want %d", tt.name, tt.at, n, err, tt.want)
		}
	}
	for _, row := range requestRows(t, e) {
		expires, ok := row["expires"].(*types.AttributeValueMemberN)
		if !ok || len(expires.Value) != len(fmt.Sprint(end.Unix())) {
			t.Errorf("not a time to live in seconds: %s", textOf(row))
		}
	}
}

// lost counts the calls of which the emulator has given no answer.
func lost(net *faulty.Transport) (n int) {
	for _, c := range net.Calls() {
		if c.Status == 0 || c.Status >= 500 {
			n++
		}
	}
	return n
}

func TestSuppress(t *testing.T) {
	t.Parallel()
	s := requests(t, awstest.New(t))
	if yes, err := s.Suppressed(t.Context(), "hash"); yes || err != nil {
		t.Errorf("%v, %v", yes, err)
	}
	for range 2 {
		must(t, s.Suppress(t.Context(), "hash", "bounce", epoch))
	}
	if yes, err := s.Suppressed(t.Context(), "hash"); !yes || err != nil {
		t.Errorf("%v, %v", yes, err)
	}
	if yes, err := s.Suppressed(t.Context(), "other"); yes || err != nil {
		t.Errorf("%v, %v", yes, err)
	}
}

// TestRemove: of a request that nothing is left to do about no row stays, and of
// no other request one goes.
func TestRemove(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	var ids []string
	for n := range 5 {
		r := requestOf(t, "s", n+1)
		ids = append(ids, r.ID)
		must(t, s.Create(t.Context(), r, opening, full[request.Personal](), []request.Known{knownOf(t, "s", identity.Email, "planted@example.test")}))
		must(t, s.PutLink(t.Context(), request.Link{Hash: "planted-" + r.ID, Request: r.ID, Site: "s"}))
		if n == 0 { // open
			continue
		}
		r.State, r.Since, r.Next = request.Closed, epoch.Add(time.Duration(n)*time.Second), time.Time{}
		if n == 1 { // sweep has still to look at it
			r.Next = epoch
		}
		must(t, s.Write(t.Context(), request.Change{Request: r, Entries: []request.Entry{act(1, "kept")}}))
	}
	var over []string
	for after := ""; ; {
		list, next, err := s.Over(t.Context(), epoch.Add(time.Hour), after, 2)
		must(t, err)
		if over, after = append(over, list...), next; next == "" {
			break
		}
	}
	if !slices.Equal(over, ids[2:]) {
		t.Errorf("over are %v, want %v", over, ids[2:])
	}
	if list, _, err := s.Over(t.Context(), epoch.Add(2*time.Second), "", 10); err != nil || len(list) != 1 {
		t.Errorf("two seconds later: %v, %v", list, err)
	}
	if _, _, err := s.Over(t.Context(), epoch, "x", 10); !errs.Is(err, errs.Invalid) {
		t.Errorf("no cursor: %v", err)
	}
	for _, id := range ids[:2] {
		if err := s.Remove(t.Context(), id); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for range 2 {
		for _, id := range ids[2:] {
			must(t, s.Remove(t.Context(), id))
		}
	}
	for i, id := range ids {
		_, err := s.Get(t.Context(), id)
		if errs.Is(err, errs.NotFound) != (i > 1) {
			t.Errorf("request %d: %v", i, err)
		}
		if log := logOf(t, s, id); (len(log) == 0) != (i > 1) {
			t.Errorf("request %d: log %v", i, log)
		}
	}
	if n := countPlanted(t, e); n != 6 { // identifier, link and its reference
		t.Errorf("%d rows hold what was planted, want those of two requests", n)
	}
}

// TestForget: nothing of the person stays, and nobody can bring it back.
func TestForget(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := requestOf(t, "s", 1)
	r.Channel.Reference = "planted-chat"
	known := knownOf(t, "s", identity.Email, "planted-mail@example.test")
	known.Evidence = "planted-evidence"
	personal := full[request.Personal]()
	personal.Name, personal.Address, personal.Message, personal.OnBehalf = "planted-name", "planted-address", "planted-message", "planted-other"
	personal.Recipient, personal.Authority = "planted-recipient", "planted-authority"
	personal.Changes = []connector.Change{{Field: "email", Old: "planted-old", New: "planted-new"}}
	must(t, s.Create(t.Context(), r, opening, personal, []request.Known{known}))
	step := request.Step{System: "refdesk", Operation: connector.Erase, Phase: request.Pending, Handle: "planted-handle", Epoch: 1, Counts: map[string]int{"tickets": 3}}
	found := request.Found{System: "zoom", Handle: "planted-handle", Done: 1, Of: 2}
	must(t, s.Write(t.Context(), request.Change{Request: r, Steps: []request.Step{step, {System: "ledger", Operation: connector.Erase}}, Found: []request.Found{found}, Entries: []request.Entry{act(1, "kept")}}))
	step.Version = 1
	must(t, s.PutLink(t.Context(), request.Link{Hash: "planted-hash", Request: r.ID, Site: "s"}))
	must(t, s.PutLink(t.Context(), request.Link{Hash: "other", Request: "other", Site: "s"}))
	must(t, s.PutToken(t.Context(), r.ID, request.Token{Wait: request.WaitIdentity, Token: "planted-token", Epoch: 1}))
	stale := *r

	for _, id := range []string{r.ID, "none"} {
		if err := s.Forget(t.Context(), id); !errs.Is(err, errs.Conflict) {
			t.Errorf("while it is open: %v", err)
		}
	}
	if n := countPlanted(t, e); n < 7 {
		t.Fatalf("only %d rows with what was planted", n)
	}
	r.State, r.Closed = request.Closed, epoch
	must(t, s.Write(t.Context(), request.Change{Request: r}))
	for range 2 {
		must(t, s.Forget(t.Context(), r.ID))
		if n := countPlanted(t, e); n > 0 {
			t.Errorf("%d rows hold what was planted", n)
		}
	}
	fence := &request.Fence{Request: r.ID, Epoch: 1}
	for name, err := range map[string]error{
		"a step with its handle":      s.Write(t.Context(), request.Change{Fence: fence, Steps: []request.Step{step}}),
		"a search with its handle":    s.Write(t.Context(), request.Change{Fence: fence, Found: []request.Found{found}}),
		"identifiers":                 s.Write(t.Context(), request.Change{Fence: fence, Known: []request.Known{known}}),
		"a token":                     s.PutToken(t.Context(), r.ID, request.Token{Wait: request.WaitIdentity, Token: "planted-token", Epoch: 1}),
		"the request as it was":       s.Write(t.Context(), request.Change{Request: &stale}),
		"the request before the mark": s.Write(t.Context(), request.Change{Request: r, Personal: &personal}),
	} {
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := s.Get(t.Context(), r.ID)
	must(t, err)
	must(t, s.Write(t.Context(), request.Change{Request: got, Entries: []request.Entry{act(2, "read")}}))
	if err := s.Write(t.Context(), request.Change{Request: got, Personal: &personal}); !errs.Is(err, errs.Conflict) {
		t.Errorf("personal data after a later write: %v", err)
	}
	if n := countPlanted(t, e); n > 0 {
		t.Errorf("%d rows hold what was planted, after all", n)
	}

	// What is needed to prove the answer stays.
	steps, err := s.Steps(t.Context(), r.ID)
	if err != nil || len(steps) != 2 || steps[1].Handle != "" || steps[1].Counts["tickets"] != 3 {
		t.Errorf("steps %+v, %v", steps, err)
	}
	if log := logOf(t, s, r.ID); !slices.Equal(log, []string{"", "kept", "read"}) {
		t.Errorf("log %q", log)
	}
	if _, err := s.Link(t.Context(), "other"); err != nil {
		t.Errorf("the link of another request: %v", err)
	}
	list, _, err := s.List(t.Context(), request.Query{Site: "s", Identifier: &known.Identifier})
	if err != nil || len(list) != 0 {
		t.Errorf("found by the identifier: %v, %v", list, err)
	}
}

// countPlanted counts the rows that hold what the test has planted.
func countPlanted(t testing.TB, e *awstest.Env) (n int) {
	t.Helper()
	for _, row := range requestRows(t, e) {
		if containsFold(textOf(row), "planted") {
			n++
		}
	}
	return n
}

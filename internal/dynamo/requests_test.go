package dynamo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// freshID makes ids that sort as their times do and are otherwise random.
func freshID(t testing.TB) func(time.Time) string {
	h, n := hasher(t), make(chan int, 1)
	n <- 0
	return func(at time.Time) string {
		i := <-n
		n <- i + 1
		return h.ID(at, t.Name(), fmt.Sprint(i))
	}
}

func clock() time.Time { return epoch }

func requests(t testing.TB, e *awstest.Env) *dynamo.Requests {
	t.Helper()
	return dynamo.NewRequests(e.Config, e.Getenv("REQUESTS_TABLE"), hasher(t), clock, freshID(t))
}

// requestOf is the n-th request of the site: all of one site are due a day after
// the one before.
func requestOf(t testing.TB, site string, n int) *request.Request {
	t.Helper()
	at := epoch.Add(time.Duration(n) * time.Minute)
	return &request.Request{
		ID: hasher(t).ID(at, "request", site, fmt.Sprint(n)), Site: site, Type: request.Erasure, Regime: request.GDPR,
		State: request.Locating, Received: at, Language: "fr", Epoch: 1, Next: at.Add(time.Hour),
		Channel: request.Channel{Kind: "chat", Reference: "chat-of-ines"},
		Clock:   request.Clock{Zone: "Europe/Paris", Due: epoch.AddDate(0, 0, 30+n)},
	}
}

func knownOf(t testing.TB, site string, kind identity.Kind, value string) request.Known {
	t.Helper()
	k := request.Known{Identifier: identity.Identifier{Kind: kind, Value: redact.String(value), Trust: identity.Proven}}
	normal, ok := k.Normal()
	if !ok {
		t.Fatalf("%q is no identifier", value)
	}
	k.Key = hasher(t).Identifier(site, string(kind), normal)
	return k
}

var opening = request.Entry{At: epoch, By: request.ThePerson, Act: request.Open, To: request.Locating}

func create(t testing.TB, s *dynamo.Requests, r *request.Request, known ...request.Known) *request.Request {
	t.Helper()
	must(t, s.Create(t.Context(), r, opening, request.Personal{Address: "ines@example.test"}, known))
	return r
}

// filled sets every field of v, also those that do not exist yet, to something
// that is not zero.
func filled(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(*n) * time.Hour).Add(7)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text <", *n, "> é"))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		filled(v.Index(0), n)
		filled(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		filled(value, n)
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
		v.SetMapIndex(reflect.ValueOf("zero").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i), n)
		}
	default:
		panic("a field of a kind that rows cannot hold: " + v.Type().String())
	}
}

func full[T any]() T {
	var v T
	n := 0
	filled(reflect.ValueOf(&v).Elem(), &n)
	return v
}

// TestRequests_everything: what is written comes back, every field of it.
func TestRequests_everything(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := full[request.Request]()
	r.ID, r.Version, r.State = hasher(t).ID(epoch, "everything"), 0, request.Running
	entry, personal, known := full[request.Entry](), full[request.Personal](), full[request.Known]()
	must(t, s.Create(t.Context(), &r, entry, personal, []request.Known{known}))
	if r.Version != 1 {
		t.Errorf("version %d after the first write", r.Version)
	}

	step, found, task, decision, later := full[request.Step](), full[request.Found](), full[request.Task](), full[request.Decision](), full[request.Entry]()
	step.Version, step.Epoch, later.ID = 0, r.Epoch, ""
	later.At = entry.At.Add(time.Hour)
	c := request.Change{Request: &r, Entries: []request.Entry{later}, Steps: []request.Step{step}, Found: []request.Found{found}, Tasks: []request.Task{task}, Decision: &decision}
	must(t, s.Write(t.Context(), c))
	if r.Version != 2 || c.Entries[0].ID == "" {
		t.Errorf("version %d, entry %q after the second write", r.Version, c.Entries[0].ID)
	}
	c.Steps[0].Version = 1
	same := func(name string, want, got any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got, revealed); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	gotR, err := s.Get(t.Context(), r.ID)
	same("request", &r, gotR, err)
	gotP, err := s.Personal(t.Context(), r.ID)
	same("personal", personal, gotP, err)
	gotK, err := s.Known(t.Context(), r.ID)
	same("known", []request.Known{known}, gotK, err)
	gotS, err := s.Steps(t.Context(), r.ID)
	same("steps", c.Steps, gotS, err)
	gotF, err := s.Found(t.Context(), r.ID)
	same("found", []request.Found{found}, gotF, err)
	gotT, err := s.Tasks(t.Context(), r.ID)
	same("tasks", []request.Task{task}, gotT, err)
	gotD, err := s.Decision(t.Context(), r.ID, decision.Wait)
	same("decision", &decision, gotD, err)
	gotDs, err := s.Decisions(t.Context(), r.ID)
	same("decisions", []request.Decision{decision}, gotDs, err)
	log, err := s.Log(t.Context(), r.ID, "", 0)
	if len(log) == 2 {
		entry.ID = log[0].ID
	}
	same("log", []request.Entry{entry, c.Entries[0]}, log, err)

	token, link, mail := full[request.Token](), full[request.Link](), full[request.Mail]()
	token.Epoch, link.Hash, link.Request = r.Epoch, "hash", r.ID
	must(t, s.PutToken(t.Context(), r.ID, token))
	must(t, s.PutLink(t.Context(), link))
	must(t, s.PutMail(t.Context(), r.ID, mail))
	gotToken, err := s.Token(t.Context(), r.ID, token.Wait)
	same("token", &token, gotToken, err)
	gotLink, err := s.Link(t.Context(), link.Hash)
	same("link", &link, gotLink, err)
	gotMail, err := s.Mail(t.Context(), r.ID, mail.Key)
	same("mail", &mail, gotMail, err)
	list, _, err := s.List(t.Context(), request.Query{Site: r.Site})
	same("list", []request.Request{r}, list, err)
}

// requestRows are all rows of the table, links included.
func requestRows(t testing.TB, e *awstest.Env) []map[string]types.AttributeValue {
	t.Helper()
	out, err := dynamodb.NewFromConfig(e.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(e.Getenv("REQUESTS_TABLE")), ConsistentRead: aws.Bool(true)})
	must(t, err)
	return out.Items
}

// textOf is all that a row holds, as text.
func textOf(row map[string]types.AttributeValue) string {
	var b strings.Builder
	for name, v := range row {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			fmt.Fprintf(&b, "%s=%s ", name, v.Value)
		case *types.AttributeValueMemberN:
			fmt.Fprintf(&b, "%s=%s ", name, v.Value)
		default:
			panic(fmt.Sprintf("%s is a %T", name, v))
		}
	}
	return b.String()
}

func act(minute int, why string) request.Entry {
	return request.Entry{At: epoch.Add(time.Duration(minute) * time.Minute), By: request.Avow, Act: request.Begin, Why: why}
}

func logOf(t testing.TB, s *dynamo.Requests, id string) (whys []string) {
	t.Helper()
	list, err := s.Log(t.Context(), id, "", 0)
	must(t, err)
	for _, e := range list {
		whys = append(whys, e.Why)
	}
	return whys
}

func TestRequests_create(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1), knownOf(t, "s", identity.Email, "ines@example.test"))
	before := len(requestRows(t, e))

	again := requestOf(t, "s", 1) // a caller that has not heard the answer
	must(t, s.Create(t.Context(), again, opening, request.Personal{Address: "ines@example.test"}, []request.Known{knownOf(t, "s", identity.Email, "ines@example.test")}))
	if again.Version != 1 || r.Version != 1 || len(requestRows(t, e)) != before {
		t.Errorf("versions %d and %d, %d rows instead of %d", r.Version, again.Version, len(requestRows(t, e)), before)
	}
	other := requestOf(t, "s", 1)
	if err := s.Create(t.Context(), other, opening, request.Personal{Address: "eve@example.test"}, nil); !errs.Is(err, errs.Conflict) || other.Version != 0 {
		t.Errorf("another one with the id: %v, version %d", err, other.Version)
	}
	for _, id := range []string{"", "a#b", "a b", strings.Repeat("x", 65)} {
		if err := s.Create(t.Context(), &request.Request{ID: id}, opening, request.Personal{}, nil); !errs.Is(err, errs.Internal) {
			t.Errorf("id %q: %v", id, err)
		}
		if _, err := s.Get(t.Context(), id); !errs.Is(err, errs.NotFound) {
			t.Errorf("reading id %q: %v", id, err)
		}
	}
	if _, err := s.Get(t.Context(), "none"); !errs.Is(err, errs.NotFound) {
		t.Errorf("reading one that does not exist: %v", err)
	}
	if p, err := s.Personal(t.Context(), "none"); err != nil || !reflect.ValueOf(p).IsZero() {
		t.Errorf("what is known of nobody: %v, %v", p, err)
	}
}

func TestWrite_conditions(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	old := *r
	r.Epoch = 5
	step := request.Step{System: "ledger", Operation: connector.Erase, Phase: request.Intended, Epoch: 5}
	must(t, s.Write(t.Context(), request.Change{Request: r, Entries: []request.Entry{act(1, "first")}, Steps: []request.Step{step}}))
	step.Version = 1
	before := requestRows(t, e)

	fence := func(id string, epoch int) *request.Fence { return &request.Fence{Request: id, Epoch: epoch} }
	log := []request.Entry{act(2, "never")}
	entry := log[0]
	entry.ID = hasher(t).ID(epoch, "log")
	for name, tt := range map[string]struct {
		change request.Change
		want   errs.Kind
	}{
		"an older version":         {request.Change{Request: &old, Entries: log}, errs.Conflict},
		"a version to come":        {request.Change{Request: &request.Request{ID: r.ID, Site: "s", Version: 9}}, errs.Conflict},
		"no such request":          {request.Change{Request: requestOf(t, "s", 9), Entries: log}, errs.Conflict},
		"an older epoch":           {request.Change{Fence: fence(r.ID, 4), Found: []request.Found{{System: "x"}}}, errs.Conflict},
		"a newer epoch":            {request.Change{Fence: fence(r.ID, 6), Found: []request.Found{{System: "x"}}}, errs.Conflict},
		"fence, no such request":   {request.Change{Fence: fence("none", 1), Entries: log}, errs.Conflict},
		"a new step that is there": {request.Change{Fence: fence(r.ID, 5), Steps: []request.Step{{System: "ledger", Operation: connector.Erase}}}, errs.Conflict},
		"a step of another time":   {request.Change{Fence: fence(r.ID, 5), Steps: []request.Step{{System: "ledger", Operation: connector.Erase, Version: 2}}}, errs.Conflict},
		"a step that is not there": {request.Change{Fence: fence(r.ID, 5), Steps: []request.Step{{System: "x", Operation: connector.Erase, Version: 1}}}, errs.Conflict},
		"one of two steps":         {request.Change{Fence: fence(r.ID, 5), Steps: []request.Step{{System: "x"}, {System: "ledger", Operation: connector.Erase}}}, errs.Conflict},
		"neither of both":          {request.Change{Entries: log}, errs.Internal},
		"both":                     {request.Change{Request: r, Fence: fence(r.ID, 5)}, errs.Internal},
	} {
		if err := s.Write(t.Context(), tt.change); !errs.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(len(before), len(requestRows(t, e))); diff != "" || r.Version != 2 || old.Version != 1 {
		t.Errorf("a refused change has written: %s", diff)
	}
	step.Phase = request.Pending
	must(t, s.Write(t.Context(), request.Change{Fence: fence(r.ID, 5), Steps: []request.Step{step}, Entries: []request.Entry{entry}}))

	// A step that a later run has written is not touched by an older one, even
	// where the fence was passed.
	r.Epoch = 7
	must(t, s.Write(t.Context(), request.Change{Request: r}))
	step.Version, step.Epoch = 2, 7
	must(t, s.Write(t.Context(), request.Change{Fence: fence(r.ID, 7), Steps: []request.Step{step}}))
	r.Epoch, step.Version = 6, 3
	if err := s.Write(t.Context(), request.Change{Request: r, Steps: []request.Step{step}}); !errs.Is(err, errs.Conflict) {
		t.Errorf("an older run over a newer one: %v", err)
	}
}

// TestWrite_order: entries of the same millisecond stay in the order in which
// they were given, and the log is read in pages.
func TestWrite_order(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	var want []string
	for round := range 3 {
		var entries []request.Entry
		for i := range 9 {
			want = append(want, fmt.Sprint(round, i))
			entries = append(entries, act(round+1, want[len(want)-1]))
		}
		must(t, s.Write(t.Context(), request.Change{Request: r, Entries: entries}))
	}
	var got []string
	after := ""
	for {
		page, err := s.Log(t.Context(), r.ID, after, 4)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			got, after = append(got, e.Why), e.ID
		}
	}
	if diff := cmp.Diff(append([]string{""}, want...), got); diff != "" {
		t.Error(diff)
	}
}

// TestWrite_racing: of fifty that have read the same version one wins, and
// nothing of the others stays.
func TestWrite_racing(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	var log []string
	for round := range 3 {
		var mu sync.Mutex
		var wait sync.WaitGroup
		won := 0
		for i := range 50 {
			wait.Go(func() {
				mine, why := *r, fmt.Sprint(round, "-", i)
				mine.Execution = why
				err := s.Write(context.Background(), request.Change{Request: &mine, Entries: []request.Entry{act(round+1, why)}, Tasks: []request.Task{{ID: why}}})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
					log = append(log, why)
				case !errs.Is(err, errs.Conflict) || mine.Version != round+1:
					t.Errorf("%v, version %d", err, mine.Version)
				}
			})
		}
		wait.Wait()
		got, err := s.Get(t.Context(), r.ID)
		must(t, err)
		if won != 1 || got.Version != round+2 || got.Execution != log[len(log)-1] {
			t.Fatalf("round %d: %d winners, version %d, execution %q", round, won, got.Version, got.Execution)
		}
		r = got
	}
	tasks, err := s.Tasks(t.Context(), r.ID)
	must(t, err)
	if got := logOf(t, s, r.ID)[1:]; !slices.Equal(got, log) || len(tasks) != len(log) {
		t.Errorf("log %v, want %v; %d tasks", got, log, len(tasks))
	}
}

// TestWrite_leaseRacing: of two that take the same step at the same instant, in
// the same words, one has it.
func TestWrite_leaseRacing(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	r := create(t, s, requestOf(t, "s", 1))
	for version := range 3 {
		var won atomic.Int32
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				err := s.Write(context.Background(), request.Change{
					Fence: &request.Fence{Request: r.ID, Epoch: 1},
					Steps: []request.Step{{System: "ledger", Operation: connector.Erase, Version: version, Lease: epoch.Add(time.Minute), Epoch: 1}},
				})
				if err == nil {
					won.Add(1)
				} else if !errs.Is(err, errs.Conflict) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won.Load() != 1 {
			t.Fatalf("version %d: %d winners", version, won.Load())
		}
	}
}

// broken is a store whose calls can be broken.
func broken(t testing.TB, e *awstest.Env) (*dynamo.Requests, *faulty.Transport) {
	t.Helper()
	net := &faulty.Transport{Capacity: true}
	with := e.With(net.Wrap)
	with.Config.Retryer = faulty.Impatient
	return requests(t, with), net
}

// TestWrite_faults: one fault is made good; when all attempts fail, the same
// change may be written again, whether or not it was applied, and also after
// others have written.
func TestWrite_faults(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	for n, fault := range slices.Concat(faulty.Before, faulty.After) {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			s, net := broken(t, e)
			r := create(t, s, requestOf(t, "s", n))
			minute := 0
			change := func(why string) request.Change {
				minute++
				return request.Change{Request: r, Entries: []request.Entry{act(minute, why), act(minute, why+"'")}, Tasks: []request.Task{{ID: why}}}
			}
			net.Break(faulty.Nth("dynamodb.TransactWriteItems", 1, fault))
			must(t, s.Write(t.Context(), change("one")))

			net.Break(faulty.Every("dynamodb.TransactWriteItems", fault))
			lost := change("two")
			if err := s.Write(t.Context(), lost); !errs.Is(err, errs.Unavailable) || r.Version != 2 {
				t.Fatalf("nothing heard: %v, version %d", err, r.Version)
			}
			net.Reset()
			if fault.Applied() { // somebody else goes on from there
				newer, err := s.Get(t.Context(), r.ID)
				must(t, err)
				must(t, s.Write(t.Context(), request.Change{Request: newer, Entries: []request.Entry{act(3, "three")}}))
			}
			must(t, s.Write(t.Context(), lost))
			if r.Version != 3 {
				t.Errorf("version %d", r.Version)
			}
			want := []string{"", "one", "one'", "two", "two'"}
			if fault.Applied() {
				want = append(want, "three")
				if err := s.Write(t.Context(), change("four")); !errs.Is(err, errs.Conflict) {
					t.Errorf("another change of the old version: %v", err)
				}
				lost.Request.Execution, lost.Request.Version = "other", 2
				if err := s.Write(t.Context(), lost); !errs.Is(err, errs.Conflict) {
					t.Errorf("other content under the same ids: %v", err)
				}
			}
			if diff := cmp.Diff(want, logOf(t, s, r.ID)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWrite_canceled: what may pass is tried again, within bounds.
func TestWrite_canceled(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	r := create(t, requests(t, e), requestOf(t, "s", 1))
	for name, tt := range map[string]struct {
		code  string
		times int
		want  errs.Kind
	}{
		"conflict that passes":   {"TransactionConflict", 2, ""},
		"conflict that lasts":    {"TransactionConflict", 99, errs.Unavailable},
		"throttling that passes": {"ThrottlingError", 1, ""},
		"throttling that lasts":  {"ProvisionedThroughputExceeded", 99, errs.Unavailable},
		"a mistake":              {"ValidationError", 1, errs.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := &refusing{code: "TransactionCanceledException", reason: tt.code, times: tt.times}
			s := requests(t, e.With(net.wrap))
			err := s.Write(t.Context(), request.Change{Fence: &request.Fence{Request: r.ID, Epoch: 1}, Found: []request.Found{{System: name}}})
			if tt.want == "" && err != nil || tt.want != "" && !errs.Is(err, tt.want) || err != nil && strings.Contains(err.Error(), "ada@") {
				t.Errorf("after %d calls: %v", net.asked.Load(), err)
			}
			if n := int(net.asked.Load()); n > 6 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// TestWrite_many: more rows than a transaction takes.
func TestWrite_many(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s, net := broken(t, e)
	var known []request.Known
	for i := range 250 {
		known = append(known, knownOf(t, "s", "refdesk.user_id", fmt.Sprint("user ", i)))
	}
	r := create(t, s, requestOf(t, "s", 1), known[:150]...)
	stale := *r
	must(t, s.Write(t.Context(), request.Change{Request: r, Known: known[100:], Found: []request.Found{{System: "x"}}, Entries: []request.Entry{act(1, "found")}}))
	got, err := s.Known(t.Context(), r.ID)
	if err != nil || len(got) != len(known) || r.Version != 2 {
		t.Errorf("%d identifiers, %v, version %d", len(got), err, r.Version)
	}

	net.Reset()
	before := len(requestRows(t, e))
	if err := s.Write(t.Context(), request.Change{Request: &stale, Known: manyKnown(t, "late", 150), Entries: []request.Entry{act(1, "late")}}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a stale one: %v", err)
	}
	if after := len(requestRows(t, e)); after != before {
		t.Errorf("%d rows of a refused change", after-before)
	}
	if err := s.Write(t.Context(), request.Change{Request: r, Tasks: make([]request.Task, 120)}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("120 tasks: %v", err)
	}
	long := request.Found{System: "y", Notes: []string{strings.Repeat("x", 4_000_000)}}
	if err := s.Write(t.Context(), request.Change{Request: r, Found: []request.Found{long}}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a row of 4 MB: %v", err)
	}

	// A part fails for good, then all of it is written again.
	net.Break(func(c faulty.Call) faulty.Fault {
		if c.Operation == "dynamodb.TransactWriteItems" && c.Nth > 1 {
			return faulty.LateReply
		}
		return faulty.None
	})
	again := request.Change{Request: r, Known: manyKnown(t, "again", 250), Entries: []request.Entry{act(2, "again")}}
	if err := s.Write(t.Context(), again); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("nothing heard: %v", err)
	}
	net.Reset()
	must(t, s.Write(t.Context(), again))
	got, err = s.Known(t.Context(), r.ID)
	if err != nil || len(got) != 500 || r.Version != 3 {
		t.Errorf("%d identifiers, %v, version %d", len(got), err, r.Version)
	}
}

func manyKnown(t testing.TB, name string, n int) (list []request.Known) {
	t.Helper()
	for i := range n {
		list = append(list, knownOf(t, "s", identity.ExternalID, fmt.Sprint(name, i)))
	}
	return list
}

// refusing answers the first calls with an error of DynamoDB.
type refusing struct {
	code, reason string
	times        int
	asked        atomic.Int32
}

func (f *refusing) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if int(f.asked.Add(1)) > f.times {
			return next.RoundTrip(r)
		}
		body := `{"__type":"com.amazonaws.dynamodb.v20120810#` + f.code + `","Message":"ada@example.test","CancellationReasons":[{"Code":"` + f.reason + `","Message":"ada@example.test"},{"Code":"None"}]}`
		return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
	})
}

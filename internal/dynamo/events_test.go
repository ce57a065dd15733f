package dynamo_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/redact"
)

var revealed = cmp.Transformer("reveal", redact.String.Reveal)

// said is the n-th consent of a subject, a minute after the one before.
func said(t testing.TB, subject string, n int) *consent.Event {
	t.Helper()
	h := hasher(t)
	at := epoch.Add(time.Duration(n) * time.Minute)
	return &consent.Event{
		ID: h.ID(at, subject, fmt.Sprint(n)), Kind: consent.KindConsent, Site: "shop", Subject: h.Subject("shop", subject), SubjectID: redact.String(subject),
		KeyID: h.KeyID(), Shards: 2, Source: consent.Public, Act: consent.WebForm, Claimed: at, Received: at,
		Preferences: []consent.Preference{{Key: "news", Value: "true"}}, IP: "203.0.113.7", Request: [32]byte{byte(n)},
	}
}

func ledger(t testing.TB) (*awstest.Env, *dynamo.Events) {
	t.Helper()
	env := awstest.New(t)
	return env, dynamo.NewEvents(env.Config, env.Getenv("EVENTS_TABLE"))
}

func appendAll(t testing.TB, s *dynamo.Events, events ...*consent.Event) {
	t.Helper()
	for _, e := range events {
		// On a busy machine a reply may be lost; the SDK's retry then finds the row.
		if prior, err := s.Append(t.Context(), e); err != nil || prior != nil && prior.Request != e.Request {
			t.Fatalf("%v, %v", prior, err)
		}
	}
}

// shards is not kept: the row is listed under what follows from it.
func stored(e *consent.Event) *consent.Event {
	c := *e
	c.Shards = 0
	return &c
}

func eventIDs(events []consent.Event) []string {
	list := []string{}
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

func TestEvents_append(t *testing.T) {
	t.Parallel()
	_, s := ledger(t)
	e := said(t, "cust-1", 1)
	appendAll(t, s, e)
	other := *e
	other.Preferences, other.Request = []consent.Preference{{Key: "news", Value: "false"}}, [32]byte{9}
	for _, again := range []*consent.Event{e, &other} {
		prior, err := s.Append(t.Context(), again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stored(e), prior, revealed); diff != "" {
			t.Errorf("the row in the way (-want +got):\n%s", diff)
		}
	}
	got, err := s.Get(t.Context(), e.Subject, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored(e), got, revealed); diff != "" {
		t.Errorf("(-put +got):\n%s", diff)
	}
	for name, key := range map[string][2]string{"other id": {e.Subject, said(t, "cust-1", 2).ID}, "other subject": {said(t, "cust-2", 1).Subject, e.ID}} {
		if got, err := s.Get(t.Context(), key[0], key[1]); got != nil || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// What the two events of a double opt-in add comes back as it was put.
func TestEvents_doubleOptIn(t *testing.T) {
	t.Parallel()
	_, s := ledger(t)
	first, second := said(t, "cust-1", 1), said(t, "cust-1", 2)
	first.OptIn = &consent.OptIn{Channel: consent.ByEmail, Address: "ines@x.test", Language: "fr", Until: epoch.Add(time.Hour)}
	second.Source, second.Act = consent.Confirmed, consent.DoubleOptIn
	second.Confirms = &consent.Confirmation{
		Consent: first.ID, At: epoch, Received: epoch.Add(time.Second), Until: epoch.Add(time.Hour),
		Message: consent.Message{
			Channel: consent.ByEmail, Language: "fr", Wording: "Confirmez <ici> & là.", Template: "confirm", TemplateVersion: "2",
			IDs: []string{"m1", "m2"}, SentAt: epoch.Add(2 * time.Second), AnsweredAt: epoch.Add(3 * time.Second), Answer: "Je confirme",
		},
	}
	bare := said(t, "cust-1", 3)
	bare.Confirms = &consent.Confirmation{Consent: first.ID, At: epoch, Received: epoch, Until: epoch}
	appendAll(t, s, first, second, bare)
	for _, e := range []*consent.Event{first, second, bare} {
		got, err := s.Get(t.Context(), e.Subject, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stored(e), got, revealed); diff != "" {
			t.Errorf("(-put +got):\n%s", diff)
		}
	}
	listed, err := s.ListShard(t.Context(), "shop", consent.Month(first.ID), 0, consent.Range{}, 10)
	other, err2 := s.ListShard(t.Context(), "shop", consent.Month(first.ID), 1, consent.Range{}, 10)
	for _, e := range append(listed, other...) {
		if waits := e.ID == first.ID; (e.OptIn != nil) != waits || err != nil || err2 != nil {
			t.Errorf("the list says that %s waits: %v, %v, %v", e.ID, e.OptIn, err, err2)
		}
	}
}

func TestEvents_appendTooLarge(t *testing.T) {
	t.Parallel()
	env, s := ledger(t)
	e := said(t, "cust-1", 1)
	size := func(content int) error {
		e.Proofs = []consent.Proof{{HasContent: true, Content: redact.String(strings.Repeat("x", content))}}
		_, err := s.Append(t.Context(), e)
		return err
	}
	if err := size(consent.MaxItem); !errs.Is(err, errs.TooLarge) {
		t.Errorf("%v, want too large", err)
	}
	if n := count(t, env, "EVENTS_TABLE"); n != 0 {
		t.Errorf("%d rows", n)
	}
	if err := size(consent.MaxItem - 1024); err != nil {
		t.Errorf("below the limit: %v", err)
	}
}

func count(t testing.TB, env *awstest.Env, table string) int {
	t.Helper()
	out, err := dynamodb.NewFromConfig(env.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(env.Getenv(table)), ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return int(out.Count)
}

// putRow writes a row past the adapter.
func putRow(t testing.TB, env *awstest.Env, subject, id string, more map[string]types.AttributeValue) {
	t.Helper()
	row := map[string]types.AttributeValue{"subject": &types.AttributeValueMemberS{Value: subject}, "id": &types.AttributeValueMemberS{Value: id}}
	for name, v := range more {
		row[name] = v
	}
	if _, err := dynamodb.NewFromConfig(env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(env.Getenv("EVENTS_TABLE")), Item: row}); err != nil {
		t.Fatal(err)
	}
}

func bury(t testing.TB, env *awstest.Env, e *consent.Event) {
	t.Helper()
	putRow(t, env, e.Subject, e.ID, map[string]types.AttributeValue{"erased_at": &types.AttributeValueMemberN{Value: "1"}})
}

func TestEvents_appendMeetsTombstone(t *testing.T) {
	t.Parallel()
	env, s := ledger(t)
	e := said(t, "cust-1", 1)
	appendAll(t, s, e)
	bury(t, env, e)
	prior, err := s.Append(t.Context(), e)
	if err != nil || prior == nil || prior.ErasedAt == nil || prior.SubjectID != "" {
		t.Errorf("%+v, %v; want the tombstone", prior, err)
	}
}

func TestEvents_bind(t *testing.T) {
	t.Parallel()
	_, s := ledger(t)
	b := consent.Binding{Site: "shop", Own: "mail", Subject: "p1", SubjectID: "cust-1", Email: "q@x.test", At: epoch, KeyID: "k"}
	later := b
	later.At, later.Email = epoch.Add(time.Hour), "Q@x.test"
	second := b
	second.Subject, second.SubjectID = "p2", "cust-2"
	for _, bind := range []consent.Binding{b, later, second, b} {
		if err := s.Bind(t.Context(), &bind); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Partition(t.Context(), "mail", consent.MaxPerson)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]consent.Binding{b, second}, rows.Bindings, revealed); diff != "" {
		t.Errorf("bindings: the first of each subject stays (-want +got):\n%s", diff)
	}
	if rows.Events != nil {
		t.Errorf("events: %v", rows.Events)
	}
}

// A partition is read whole, over as many pages as it takes, or not at all.
func TestEvents_partition(t *testing.T) {
	t.Parallel()
	env, s := ledger(t)
	var want []*consent.Event
	for n := range 7 {
		e := said(t, "cust-1", n)
		e.Proofs = []consent.Proof{{HasContent: true, Content: redact.String(strings.Repeat("x", 200<<10))}} // DynamoDB pages at 1 MB
		appendAll(t, s, e)
		want = append(want, stored(e))
	}
	about := said(t, "cust-1", 8)
	about.Kind = consent.KindSubject
	appendAll(t, s, about, said(t, "cust-2", 1))
	want = append(want, stored(about))
	subject := about.Subject
	if err := s.Bind(t.Context(), &consent.Binding{Own: subject, Subject: "p2", At: epoch}); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Partition(t.Context(), subject, consent.MaxPerson)
	if err != nil {
		t.Fatal(err)
	}
	got := []*consent.Event{}
	for i := range rows.Events {
		got = append(got, &rows.Events[i])
	}
	if diff := cmp.Diff(want, got, revealed); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(rows.Bindings) != 1 || rows.Bytes < 7*200<<10 {
		t.Errorf("%d bindings, %d bytes", len(rows.Bindings), rows.Bytes)
	}
	if again, err := s.Partition(t.Context(), subject, rows.Bytes); err != nil || len(again.Events) != 8 {
		t.Errorf("a limit of exactly the size: %d events, %v", len(again.Events), err)
	}
	if _, err := s.Partition(t.Context(), subject, rows.Bytes-1); !errors.Is(err, consent.ErrTooManyEvents) {
		t.Errorf("a byte less: %v", err)
	}
	if _, err := s.Partition(t.Context(), subject, 0); !errors.Is(err, consent.ErrTooManyEvents) {
		t.Errorf("no budget left: %v", err)
	}
	if rows, err := s.Partition(t.Context(), "nobody", 0); err != nil || rows.Events != nil {
		t.Errorf("nobody: %v, %v", rows, err)
	}

	// A second page that does not come is no short answer.
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	net.Break(func(c faulty.Call) faulty.Fault {
		if c.Operation == "dynamodb.Query" && c.Nth >= 2 {
			return faulty.Refused
		}
		return faulty.None
	})
	if rows, err := dynamo.NewEvents(cfg, env.Getenv("EVENTS_TABLE")).Partition(t.Context(), subject, consent.MaxPerson); !errs.Is(err, errs.Unavailable) || rows.Events != nil {
		t.Errorf("%d events, %v", len(rows.Events), err)
	}
	if counts := net.Counts(); counts["dynamodb.Query"] < 2 {
		t.Errorf("%v: the partition came in one page", counts)
	}
}

// A row that cannot be read fails every read that would have to know it.
func TestEvents_unreadable(t *testing.T) {
	t.Parallel()
	env, s := ledger(t)
	e := said(t, "cust-1", 1)
	appendAll(t, s, e)
	bad := said(t, "cust-1", 2)
	putRow(t, env, bad.Subject, bad.ID, map[string]types.AttributeValue{"kind": &types.AttributeValueMemberS{Value: "promise of q@x.test"}})
	_, err1 := s.Partition(t.Context(), e.Subject, consent.MaxPerson)
	_, err2 := s.Get(t.Context(), bad.Subject, bad.ID)
	_, err3 := s.ListSubject(t.Context(), e.Subject, consent.Range{}, 10)
	_, err4 := s.Append(t.Context(), bad)
	for i, err := range []error{err1, err2, err3, err4} {
		if !errs.Is(err, errs.Internal) || strings.Contains(err.Error(), "q@x.test") {
			t.Errorf("read %d: %v", i+1, err)
		}
	}
}

func TestEvents_lists(t *testing.T) {
	t.Parallel()
	env, s := ledger(t)
	var events []*consent.Event
	for n := range 12 {
		events = append(events, said(t, "cust-1", n))
	}
	about := said(t, "cust-1", 20)
	about.Kind = consent.KindSubject
	appendAll(t, s, append(events, about, said(t, "cust-2", 5))...)
	if err := s.Bind(t.Context(), &consent.Binding{Own: about.Subject, Subject: "p2", At: epoch}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{10, 9, 8, 3} {
		bury(t, env, events[n])
	}
	newest := func(from ...int) []string {
		list := []string{}
		for _, n := range from {
			list = append(list, events[n].ID)
		}
		return list
	}
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	for name, tt := range map[string]struct {
		r     consent.Range
		limit int
		want  []string
	}{
		"all": {consent.Range{}, 100, newest(11, 7, 6, 5, 4, 2, 1, 0)},
		"a page that is full in spite of tombstones": {consent.Range{}, 3, newest(11, 7, 6)},
		"one":                           {consent.Range{}, 1, newest(11)},
		"behind a cursor":               {consent.Range{Before: events[6].ID}, 2, newest(5, 4)},
		"behind an erased one":          {consent.Range{Before: events[9].ID}, 2, newest(7, 6)},
		"behind the last":               {consent.Range{Before: events[0].ID}, 5, newest()},
		"from":                          {consent.Range{From: at(6)}, 100, newest(11, 7, 6)},
		"to":                            {consent.Range{To: at(2)}, 100, newest(2, 1, 0)},
		"from and to, the same instant": {consent.Range{From: at(5), To: at(5)}, 100, newest(5)},
		"between two":                   {consent.Range{From: at(5).Add(1), To: at(6).Add(-1)}, 100, newest(5)}, // milliseconds: 5 min 0.000000001 s is 5 min
		"the other way round":           {consent.Range{From: at(6), To: at(5)}, 100, newest()},
		"from, behind a cursor":         {consent.Range{From: at(4), Before: events[6].ID}, 100, newest(5, 4)},
		"a cursor of nobody":            {consent.Range{Before: hasher(t).ID(at(5).Add(time.Second), "x")}, 1, newest(5)},
	} {
		got, err := s.ListSubject(t.Context(), about.Subject, tt.r, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, eventIDs(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if e, err := s.LastOf(t.Context(), about.Subject); err != nil || e.ID != events[11].ID {
		t.Errorf("the last: %v, %v", e, err)
	}
	if e, err := s.LastOf(t.Context(), "nobody"); err != nil || e != nil {
		t.Errorf("the last of nobody: %v, %v", e, err)
	}
	for subject, want := range map[string]bool{about.Subject: true, "nobody": false} {
		if known, err := s.Known(t.Context(), subject); err != nil || known != want {
			t.Errorf("known %v, %v; want %v", known, err, want)
		}
	}
}

// The index lists every consent of a month once, and finds each by its id.
func TestEvents_listing(t *testing.T) {
	t.Parallel()
	env, s := ledger(t)
	var want []string
	byID := map[string]*consent.Event{}
	for n := range 10 {
		e := said(t, fmt.Sprint("cust-", n%3), n)
		e.ConsentType, e.Claimed = "cookie_policy", e.Claimed.Add(-time.Second)
		appendAll(t, s, e)
		want = append(want, e.ID)
		byID[e.ID] = e
	}
	elsewhere := said(t, "cust-1", 60*24*40) // next month
	about := said(t, "cust-1", 30)
	about.Kind = consent.KindSubject
	foreign := said(t, "cust-1", 4)
	foreign.Site, foreign.Subject = "other", hasher(t).Subject("other", "cust-1")
	appendAll(t, s, elsewhere, about, foreign)
	gone := said(t, "cust-9", 5)
	appendAll(t, s, gone)
	bury(t, env, gone)

	var got []string
	for shard := range 2 {
		list, err := s.ListShard(t.Context(), "shop", "2026-03", shard, consent.Range{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(list, func(a, b consent.Event) int { return strings.Compare(b.ID, a.ID) }) {
			t.Errorf("shard %d is not in order, newest first", shard)
		}
		for _, e := range list {
			got = append(got, e.ID)
			full := byID[e.ID]
			if full == nil {
				continue
			}
			// What a list shows, no more.
			shown := consent.Event{
				ID: full.ID, Kind: full.Kind, Subject: full.Subject, SubjectID: full.SubjectID, Source: full.Source,
				Claimed: full.Claimed, Preferences: full.Preferences, IP: full.IP, ConsentType: full.ConsentType,
				Received: e.Received, Site: e.Site, Request: e.Request,
			}
			if diff := cmp.Diff(shown, e, revealed); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed in March (-want +got):\n%s", diff)
	}
	for id, e := range byID {
		if subject, err := s.Locate(t.Context(), "shop", id, 2); err != nil || subject != e.Subject {
			t.Errorf("%s stands in %q, %v", id, subject, err)
		}
	}
	for name, where := range map[string][2]string{"erased": {"shop", gone.ID}, "of another site": {"other", want[0]}, "unknown": {"shop", said(t, "x", 1).ID}, "about a subject": {"shop", about.ID}} {
		if subject, err := s.Locate(t.Context(), where[0], where[1], 2); err != nil || subject != "" {
			t.Errorf("%s: %q, %v", name, subject, err)
		}
	}
}

func TestEvents_walk(t *testing.T) {
	t.Parallel()
	_, s := ledger(t)
	want := map[string]bool{}
	for n := range 5 {
		e := said(t, fmt.Sprint("cust-", n), n)
		appendAll(t, s, e, said(t, fmt.Sprint("cust-", n), n+10))
		want["shop/"+e.Subject] = true
	}
	got := map[string]bool{}
	if err := s.Walk(t.Context(), func(site, subject string) error { got[site+"/"+subject] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	if err := s.Walk(t.Context(), func(string, string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want %v", err, stop)
	}
}

// A read that fails tells so, and nothing of the person.
func TestEvents_unavailable(t *testing.T) {
	t.Parallel()
	env, good := ledger(t)
	e := said(t, "cust-1", 1)
	appendAll(t, good, e)
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.Throttled, faulty.Failed, faulty.Lost, faulty.Cut} {
		net := &faulty.Transport{}
		cfg := env.With(net.Wrap).Config
		cfg.RetryMaxAttempts = 1
		s := dynamo.NewEvents(cfg, env.Getenv("EVENTS_TABLE"))
		net.Break(func(faulty.Call) faulty.Fault { return fault })
		_, err1 := s.Get(t.Context(), e.Subject, e.ID)
		_, err2 := s.Partition(t.Context(), e.Subject, consent.MaxPerson)
		_, err3 := s.ListSubject(t.Context(), e.Subject, consent.Range{}, 1)
		_, err4 := s.Locate(t.Context(), "shop", e.ID, 2)
		_, err5 := s.Known(t.Context(), e.Subject)
		_, err6 := s.ListShard(t.Context(), "shop", "2026-03", 0, consent.Range{}, 1)
		err7 := s.Walk(t.Context(), func(string, string) error { return nil })
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
			if !errs.Is(err, errs.Unavailable) || strings.Contains(err.Error(), "cust-1") {
				t.Errorf("%v, read %d: %v", fault, i+1, err)
			}
		}
	}
}

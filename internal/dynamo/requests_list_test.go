package dynamo_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

func containsFold(s, part string) bool { return strings.Contains(strings.ToLower(s), part) }

// TestList: each combination of filters lists exactly what passes them, in
// order, on pages that neither repeat nor leave out anything.
func TestList(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := requests(t, e)
	ines := identity.Identifier{Kind: identity.Email, Value: "Ines@Example.TEST"}
	var all []*request.Request
	for i := range 24 {
		r := requestOf(t, "shop", i)
		r.State = []request.State{request.Locating, request.Running, request.Closed}[i%3]
		r.Type = []request.Type{request.Access, request.Erasure}[i/2%2]
		r.Clock.Due = epoch.AddDate(0, 0, i*7%12) // some are due at the same moment
		var known []request.Known
		if i%4 != 0 {
			known = []request.Known{knownOf(t, "shop", identity.Email, "ines@example.test"), knownOf(t, "shop", identity.Phone, "+33612345678")}
		}
		all = append(all, create(t, s, r, known...))
	}
	create(t, s, requestOf(t, "other", 1), knownOf(t, "other", identity.Email, "ines@example.test"))

	for _, q := range []request.Query{
		{}, {State: request.Running}, {State: request.Closed}, {State: request.Refused}, {Type: request.Erasure}, {Type: request.Objection},
		{State: request.Locating, Type: request.Access}, {DueBefore: epoch.AddDate(0, 0, 5)}, {DueBefore: epoch},
		{State: request.Closed, DueBefore: epoch.AddDate(0, 0, 8), Type: request.Access},
		{Identifier: &ines}, {Identifier: &ines, State: request.Running}, {Identifier: &ines, Type: request.Access, DueBefore: epoch.AddDate(0, 0, 6)},
		{Identifier: &identity.Identifier{Kind: identity.Email, Value: "nobody@example.test"}},
	} {
		q.Site = "shop"
		for _, q.Limit = range []int{1, 5, 0} {
			var want []string
			urgent := q.State != "" && !q.State.Ended() || !q.DueBefore.IsZero()
			for _, r := range all {
				index := slices.Index(all, r)
				if (q.State == "" || r.State == q.State) && (q.Type == "" || r.Type == q.Type) &&
					(q.DueBefore.IsZero() || r.Clock.Due.Before(q.DueBefore)) && (q.Identifier == nil || q.Identifier.Value == "Ines@Example.TEST" && index%4 != 0) {
					want = append(want, r.ID)
				}
			}
			due := map[string]time.Time{}
			for _, r := range all {
				due[r.ID] = r.Clock.Due
			}
			slices.SortFunc(want, func(a, b string) int {
				switch order := cmp.Or(due[a].Compare(due[b]), cmp.Compare(a, b)); {
				case q.Identifier != nil:
					return cmp.Compare(b, a)
				case urgent:
					return order
				default:
					return -order
				}
			})
			var got []string
			page := q
			for more := true; more; more = page.After != "" {
				list, next, err := s.List(t.Context(), page)
				must(t, err)
				if q.Limit > 0 && len(list) > q.Limit {
					t.Fatalf("%d on a page of %d", len(list), q.Limit)
				}
				for _, r := range list {
					got = append(got, r.ID)
				}
				page.After = next
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: %s", q, diff)
			}
		}
	}
}

func TestList_refuses(t *testing.T) {
	t.Parallel()
	s := requests(t, awstest.New(t))
	for name, tt := range map[string]struct {
		query request.Query
		want  errs.Kind
	}{
		"no site":               {request.Query{}, errs.Internal},
		"no cursor":             {request.Query{Site: "s", After: "x"}, errs.Invalid},
		"a cursor of ids":       {request.Query{Site: "s", After: "aWFiYw"}, errs.Invalid},
		"everybody":             {request.Query{Site: "s", Identifier: &identity.Identifier{Kind: identity.Email, Value: "*"}}, errs.Invalid},
		"cursor, by identifier": {request.Query{Site: "s", After: "!", Identifier: &identity.Identifier{Kind: identity.Email, Value: "a@b.test"}}, errs.Invalid},
	} {
		if _, _, err := s.List(t.Context(), tt.query); !errs.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestList_budget: a filter that finds nothing reads a bounded number of rows
// and says where to go on.
func TestList_budget(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s, net := broken(t, e)
	rare := requestOf(t, "s", 0)
	rare.Type = request.Disclosure
	rare.Clock.Due = epoch.AddDate(0, 0, -1)
	create(t, s, rare)
	client := dynamodb.NewFromConfig(e.Config)
	for chunk := range slices.Chunk(slices.Collect(ids(1200)), 25) {
		var puts []types.WriteRequest
		for _, i := range chunk {
			text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
			id := fmt.Sprintf("r%05d", i)
			puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
				"request": text(id), "item": text("REQUEST"), "siteKey": text("s"), "type": text("access"), "body": text("{}"),
				"due": text(epoch.Format("20060102T150405.000Z") + "#" + id),
			}}})
		}
		_, err := client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{e.Getenv("REQUESTS_TABLE"): puts}})
		must(t, err)
	}
	q := request.Query{Site: "s", Type: request.Disclosure}
	var got []request.Request
	for calls := 0; ; calls++ {
		net.Reset()
		list, next, err := s.List(t.Context(), q)
		must(t, err)
		if n := net.Counts()["dynamodb.Query"]; n > 10 {
			t.Errorf("%d queries of 100 rows", n)
		}
		got = append(got, list...)
		if q.After = next; next == "" {
			if calls != 1 {
				t.Errorf("%d calls", calls+1)
			}
			break
		}
	}
	if len(got) != 1 || got[0].ID != rare.ID {
		t.Errorf("%d found", len(got))
	}
}

func ids(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	s := requests(t, awstest.New(t))
	var want []string
	for i, next := range []time.Duration{2 * time.Hour, time.Hour, -time.Hour, 3 * time.Hour} {
		r := requestOf(t, fmt.Sprint("site", i), i)
		r.Next = epoch.Add(next)
		create(t, s, r)
		want = append(want, r.ID)
	}
	never := requestOf(t, "s", 8)
	never.Next = time.Time{}
	create(t, s, never)
	left, ended := create(t, s, requestOf(t, "s", 9)), create(t, s, requestOf(t, "s", 10))
	for r, next := range map[*request.Request]time.Time{left: epoch.Add(-2 * time.Hour), ended: {}} {
		r.State, r.Next = request.Withdrawn, next
		must(t, s.Write(t.Context(), request.Change{Request: r}))
	}
	for _, tt := range []struct {
		now   time.Duration
		limit int
		want  []string
	}{
		{0, 9, []string{never.ID, want[2], left.ID}}, {time.Hour, 9, []string{never.ID, want[2], want[1], left.ID}},
		{2*time.Hour - 1, 9, []string{never.ID, want[2], want[1], left.ID}}, {-2*time.Hour - 1, 9, []string{never.ID}},
		{9 * time.Hour, 9, []string{never.ID, want[2], want[1], want[0], want[3], left.ID}},
		{9 * time.Hour, 5, []string{never.ID, want[2], want[1], want[0], want[3]}}, {9 * time.Hour, 2, []string{never.ID, want[2]}}, {9 * time.Hour, 0, nil},
	} {
		got, err := s.Due(t.Context(), epoch.Add(tt.now), tt.limit)
		if diff := gocmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("at %v: %v %s", tt.now, err, diff)
		}
	}
}

// TestRequests_cost: the calls of each operation and what its writes consume.
func TestRequests_cost(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s, net := broken(t, e)
	r := requestOf(t, "s", 1)
	known := []request.Known{knownOf(t, "s", identity.Email, "ines@example.test"), knownOf(t, "s", identity.ExternalID, "4711")}
	fence := &request.Fence{Request: r.ID, Epoch: 1}
	step := request.Step{System: "ledger", Phase: request.Intended, Epoch: 1}
	q := request.Query{Site: "s"}
	byID := q
	byID.Identifier = &known[0].Identifier
	for _, tt := range []struct {
		name  string
		do    func() error
		calls string
		units float64 // at most
	}{
		{"Create, 2 identifiers", func() error {
			return s.Create(t.Context(), r, opening, request.Personal{Address: "ines@example.test"}, known)
		}, "TransactWriteItems", 15},
		{"Write, nothing else", func() error { return s.Write(t.Context(), request.Change{Request: r}) }, "TransactWriteItems", 4},
		{"Write, state and log", func() error {
			r.State = request.Running
			return s.Write(t.Context(), request.Change{Request: r, Entries: []request.Entry{act(1, "x")}})
		}, "TransactWriteItems", 8},
		{"Write, step and log, fenced", func() error {
			return s.Write(t.Context(), request.Change{Fence: fence, Steps: []request.Step{step}, Entries: []request.Entry{act(1, "x")}})
		}, "TransactWriteItems", 6},
		{"Write, step, fenced", func() error {
			step.Version = 1
			return s.Write(t.Context(), request.Change{Fence: fence, Steps: []request.Step{step}})
		}, "TransactWriteItems", 4},
		{"Write, 120 findings", func() error {
			return s.Write(t.Context(), request.Change{Fence: fence, Found: make120(), Entries: []request.Entry{act(2, "x")}})
		}, "TransactWriteItems TransactWriteItems TransactWriteItems", 250},
		{"Write, refused", func() error {
			if err := s.Write(t.Context(), request.Change{Fence: &request.Fence{Request: r.ID}, Entries: []request.Entry{act(1, "x")}}); !errs.Is(err, errs.Conflict) {
				return fmt.Errorf("not refused: %w", err)
			}
			return nil
		}, "TransactWriteItems GetItem", 6},
		{"Get", func() error { _, err := s.Get(t.Context(), r.ID); return err }, "GetItem", 0},
		{"Steps", func() error { _, err := s.Steps(t.Context(), r.ID); return err }, "Query", 0},
		{"Log", func() error { _, err := s.Log(t.Context(), r.ID, "", 50); return err }, "Query", 0},
		{"PutToken", func() error { return s.PutToken(t.Context(), r.ID, request.Token{Wait: "identity", Epoch: 1}) }, "TransactWriteItems", 4},
		{"PutLink", func() error { return s.PutLink(t.Context(), request.Link{Hash: "h", Request: r.ID}) }, "TransactWriteItems", 4},
		{"UseLink", func() error { _, _, err := s.UseLink(t.Context(), "h", "x", epoch); return err }, "UpdateItem", 1},
		{"PutMail", func() error { return s.PutMail(t.Context(), r.ID, request.Mail{Key: "k"}) }, "PutItem", 1},
		{"Sent", func() error { return s.Sent(t.Context(), r.ID, "k", "id", epoch) }, "UpdateItem", 1},
		{"Count", func() error { _, err := s.Count(t.Context(), "c", epoch.Add(time.Hour)); return err }, "UpdateItem", 1},
		{"List", func() error { _, _, err := s.List(t.Context(), q); return err }, "Query", 0},
		{"List by identifier", func() error { _, _, err := s.List(t.Context(), byID); return err }, "Query BatchGetItem", 0},
		{"Due", func() error { _, err := s.Due(t.Context(), epoch, 10); return err }, "Query Query", 0},
		{"Write, closing", func() error { r.State = request.Closed; return s.Write(t.Context(), request.Change{Request: r}) }, "TransactWriteItems", 7},
		{"Forget, 2 identifiers, 1 link", func() error { return s.Forget(t.Context(), r.ID) },
			"UpdateItem Query DeleteItem Query DeleteItem DeleteItem Query DeleteItem Query DeleteItem DeleteItem Query Query", 12},
	} {
		net.Reset()
		must(t, tt.do())
		var calls []string
		units := 0.0
		for _, c := range net.Calls() {
			name := strings.TrimPrefix(c.Operation, "dynamodb.")
			calls = append(calls, name)
			if !slices.Contains([]string{"Query", "GetItem", "BatchGetItem"}, name) {
				units += c.Consumed.Total()
			}
		}
		if got := strings.Join(calls, " "); got != tt.calls || units > tt.units {
			t.Errorf("%s: %s, %v units; want %s, at most %v", tt.name, got, units, tt.calls, tt.units)
		}
		t.Logf("%-32s %3d calls, %4.1f write units", tt.name, len(calls), units)
	}
}

func make120() []request.Found {
	list := make([]request.Found, 120)
	for i := range list {
		list[i].System = fmt.Sprint("system ", i)
	}
	return list
}

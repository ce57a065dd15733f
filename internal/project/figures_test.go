package project

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

// meter adds up the write units that DynamoDB reports for each operation.
type meter struct {
	mu    sync.Mutex
	calls map[string]int
	units float64
}

// attach makes the clients of env report to the meter.
func (m *meter) attach(env *awstest.Env) *awstest.Env {
	with := *env
	with.Config = env.Config.Copy()
	with.Config.APIOptions = append(with.Config.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", m.measure), middleware.After)
	})
	return &with
}

func (m *meter) measure(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch in := in.Parameters.(type) {
	case *dynamodb.PutItemInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *dynamodb.UpdateItemInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *dynamodb.TransactWriteItemsInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	}
	out, metadata, err := next.HandleInitialize(ctx, in)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = map[string]int{}
	}
	m.calls[middleware.GetOperationName(ctx)]++
	add := func(c *types.ConsumedCapacity) {
		if c != nil && c.CapacityUnits != nil {
			m.units += *c.CapacityUnits
		}
	}
	switch out := out.Result.(type) {
	case *dynamodb.PutItemOutput:
		add(out.ConsumedCapacity)
	case *dynamodb.UpdateItemOutput:
		add(out.ConsumedCapacity)
	case *dynamodb.TransactWriteItemsOutput:
		for i := range out.ConsumedCapacity {
			add(&out.ConsumedCapacity[i])
		}
	}
	return out, metadata, err
}

func (m *meter) take() (calls map[string]int, units float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls, units = m.calls, m.units
	m.calls, m.units = nil, 0
	return calls, units
}

// TestFigures: what the projection of the demo's consent costs. The figures are
// deterministic.
func TestFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.makeSite("s")
	var m meter
	h := w.startOn(m.attach(w.env))
	m.take()
	form := redact.String("<form>")
	demo := func(email, newsletter string) {
		content := redact.String(`{"email":"` + email + `","first_name":"Inés"}`)
		w.submit("s", &consent.Submission{
			Source: consent.Public,
			Profile: consent.Profile{
				Email: &consent.Text{Value: redact.String(email)}, FirstName: &consent.Text{Value: "Inés"}, LastName: &consent.Text{Value: "Roca"},
			},
			Preferences:  []consent.Preference{pref("newsletter", newsletter), pref("profiling", "false"), pref("terms", "true")},
			LegalNotices: []consent.NoticeRef{{Identifier: "privacy_policy"}, {Identifier: "terms"}},
			Proofs:       []consent.ProofText{{Content: &content, Form: &form}},
		})
	}
	for _, tt := range []struct {
		name  string
		do    func()
		calls map[string]int
		units float64
	}{
		// 2 units for each of 5 search entries and the view, 1 for the view in each of 2 indexes; form and month 1 each;
		// for the outbox 1 and 1 for its index.
		{"first consent of the first person", func() { demo("ines@example.test", "false") }, map[string]int{"BatchGetItem": 1, "Query": 1, "TransactWriteItems": 1, "UpdateItem": 3}, 18},
		{"first consent of another person", func() { demo("eve@example.test", "false") }, map[string]int{"BatchGetItem": 1, "Query": 1, "TransactWriteItems": 1, "UpdateItem": 1}, 16},
		// 1 for the view and each of 2 indexes, as nothing new is searched for; the outbox moves the entry in its index.
		{"next consent of the same person", func() { demo("ines@example.test", "true") }, map[string]int{"BatchGetItem": 1, "Query": 1, "PutItem": 1, "UpdateItem": 1}, 6},
		// The event and the binding row, together, of a person in two partitions, one of them without events.
		{"consent of the back end with id and e-mail", func() {
			w.post(consent.Private, "s", "crm-1", "zoe@example.test", pref("newsletter", "true"))
		}, map[string]int{"BatchGetItem": 1, "Query": 2, "TransactWriteItems": 1, "UpdateItem": 1}, 12},
	} {
		known := w.text("EVENTS_TABLE")
		tt.do()
		deliver(t, h, slices.DeleteFunc(w.inserts(), func(r string) bool {
			return slices.ContainsFunc(known, func(row string) bool { return strings.Contains(r, `"NewImage":`+row) })
		})...)
		calls, units := m.take()
		fmt.Printf("figure: project, %s: %v calls, %g write units\n", tt.name, calls, units)
		if diff := cmp.Diff(tt.calls, calls); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if math.Abs(units-tt.units) > 0.01 {
			t.Errorf("%s: %g write units, want %g", tt.name, units, tt.units)
		}
	}
	views := w.verify()
	if len(views) != 3 {
		t.Errorf("%d views", len(views))
	}
}

package faulty_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/faulty"
)

// service counts what it has applied.
func service(t *testing.T) (*httptest.Server, *atomic.Int32) {
	var applied atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		applied.Add(1)
		_, _ = io.WriteString(w, "echo "+string(body))
	}))
	t.Cleanup(server.Close)
	return server, &applied
}

func post(t *testing.T, client *http.Client, url, target, body string) (status int, answer string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func TestTransport_faults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault   faulty.Fault
		applied bool
		status  int    // 0: no whole answer
		says    string // part of the answer
		timeout bool
	}{
		"none":                  {fault: faulty.None, applied: true, status: 200, says: "echo x"},
		"refused":               {fault: faulty.Refused},
		"timed out":             {fault: faulty.TimedOut, timeout: true},
		"throttled":             {fault: faulty.Throttled, status: 400, says: "ThrottlingException"},
		"failed":                {fault: faulty.Failed, status: 500, says: "InternalServerError"},
		"conflict":              {fault: faulty.Conflict, status: 409, says: "ConditionalRequestConflict"},
		"reply lost":            {fault: faulty.Lost, applied: true},
		"reply late":            {fault: faulty.LateReply, applied: true, timeout: true},
		"reply cut":             {fault: faulty.Cut, applied: true},
		"failed after applying": {fault: faulty.FailedYet, applied: true, status: 500, says: "InternalServerError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, applied := service(t)
			transport := &faulty.Transport{}
			transport.Break(faulty.Nth("dynamodb.PutItem", 1, tt.fault))
			client := &http.Client{Transport: transport.Wrap(http.DefaultTransport)}
			status, answer, err := post(t, client, server.URL, "DynamoDB_20120810.PutItem", "x")
			if got := applied.Load() == 1; got != tt.applied || got != tt.fault.Applied() {
				t.Errorf("applied: %v, want %v; %q says %v", got, tt.applied, tt.fault, tt.fault.Applied())
			}
			if (err == nil) != (tt.status != 0) || err == nil && (status != tt.status || !strings.Contains(answer, tt.says)) {
				t.Errorf("status %d, answer %q, %v; want %d with %q", status, answer, err, tt.status, tt.says)
			}
			var network net.Error
			if errors.As(err, &network) && network.Timeout() != tt.timeout {
				t.Errorf("%v: time-out %v, want %v", err, network.Timeout(), tt.timeout)
			}
			if status, answer, err := post(t, client, server.URL, "DynamoDB_20120810.PutItem", "y"); err != nil || status != 200 || answer != "echo y" {
				t.Errorf("the next attempt: status %d, answer %q, %v", status, answer, err)
			}
		})
	}
}

func TestTransport_calls(t *testing.T) {
	t.Parallel()
	server, _ := service(t)
	transport := &faulty.Transport{}
	client := &http.Client{Transport: transport.Wrap(http.DefaultTransport)}
	transport.Break(faulty.Every("dynamodb.GetItem", faulty.Lost))
	for target, body := range map[string]string{"DynamoDB_20120810.GetItem": "g", "secretsmanager.GetSecretValue": "v"} {
		_, _, _ = post(t, client, server.URL, target, body)
	}
	_, _, _ = post(t, client, server.URL, "DynamoDB_20120810.GetItem", "again")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/bucket/a/b", strings.NewReader("form"))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := client.Do(r); err != nil {
		t.Error(err)
	} else {
		response.Body.Close()
	}
	_, _, _ = post(t, client, server.URL+"/v2/email/outbound-emails", "", "mail")
	want := map[string]int{"dynamodb.GetItem": 2, "secretsmanager.GetSecretValue": 1, "s3.PutObject": 1, "ses.POST outbound-emails": 1}
	if diff := cmp.Diff(want, transport.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	calls := transport.Calls()
	last := calls[len(calls)-2]
	if last.Path != "bucket/a/b" || string(last.Body) != "form" || last.Status != 200 {
		t.Errorf("the last call: %+v", last)
	}
	i := slices.IndexFunc(calls, func(c faulty.Call) bool { return string(c.Body) == "again" })
	if i < 0 || calls[i].Nth != 2 || calls[i].Fault != faulty.Lost || calls[i].Status != 200 {
		t.Errorf("the second GetItem: %+v", calls)
	}
	transport.Reset()
	if calls := transport.Calls(); len(calls) != 0 || len(transport.Counts()) != 0 {
		t.Errorf("after Reset: %v", calls)
	}
}

// What the service itself drops is no call that a test has to count.
func TestTransport_dropped(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	transport := &faulty.Transport{}
	for range 3 {
		_, _, _ = post(t, &http.Client{Transport: transport.Wrap(http.DefaultTransport)}, server.URL, "DynamoDB_20120810.PutItem", "x")
	}
	if counts := transport.Counts(); counts["dynamodb.PutItem"] != 1 || asked.Load() != 3 {
		t.Errorf("%v of %d attempts", counts, asked.Load())
	}
}

func TestTransport_capacity(t *testing.T) {
	t.Parallel()
	const one = `{"CapacityUnits":5,"Table":{"CapacityUnits":2},"GlobalSecondaryIndexes":{"Listing":{"CapacityUnits":3}}}`
	for name, tt := range map[string]struct {
		answer         string
		table, listing float64
	}{
		"one table":     {`{"ConsumedCapacity":` + one + `}`, 2, 3},
		"a transaction": {`{"ConsumedCapacity":[` + one + `,{"CapacityUnits":1}]}`, 3, 3},
		"not said":      {`{}`, 0, 0},
		"no answer":     {`<html>`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = string(body)
				_, _ = io.WriteString(w, tt.answer)
			}))
			defer server.Close()
			transport := &faulty.Transport{Capacity: true}
			if _, _, err := post(t, &http.Client{Transport: transport.Wrap(http.DefaultTransport)}, server.URL, "DynamoDB_20120810.PutItem", `{"Item":{"id":{"S":"<"}}}`); err != nil {
				t.Fatal(err)
			}
			call := transport.Calls()[0]
			if call.Consumed.Table != tt.table || call.Consumed.Indexes["Listing"] != tt.listing || call.Consumed.Total() != tt.table+tt.listing {
				t.Errorf("consumed: %+v", call.Consumed)
			}
			if strings.Contains(string(call.Body), "Consumed") || !strings.Contains(asked, `"ReturnConsumedCapacity":"INDEXES"`) {
				t.Errorf("sent %s as %s", call.Body, asked)
			}
		})
	}
}

// A script counts without a lock: calls that come at once ask it one by one, and
// none asks it once it is replaced. The race detector watches.
func TestScript_alone(t *testing.T) {
	t.Parallel()
	server, _ := service(t)
	transport := &faulty.Transport{}
	client := &http.Client{Transport: transport.Wrap(http.DefaultTransport)}
	const callers = 20
	asked, inside := 0, 0
	transport.Break(func(faulty.Call) faulty.Fault {
		if inside++; inside > 1 {
			t.Error("asked while it answers")
		}
		runtime.Gosched()
		inside--
		asked++
		return faulty.Refused
	})
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if _, _, err := post(t, client, server.URL, "", "x"); err == nil {
				t.Error("not refused")
			}
		})
	}
	all.Wait()
	transport.Reset()
	if asked != callers {
		t.Errorf("asked %d times by %d callers", asked, callers)
	}
}

func TestSeeded_repeats(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) []faulty.Fault {
		script := faulty.Seeded(seed, 0.5, slices.Concat(faulty.Before, faulty.After)...)
		list := make([]faulty.Fault, 200)
		for i := range list {
			list[i] = script(faulty.Call{})
		}
		return list
	}
	one := draw(1)
	if !slices.Equal(one, draw(1)) {
		t.Error("the same seed gives other faults")
	}
	if slices.Equal(one, draw(2)) {
		t.Error("another seed gives the same faults")
	}
	for _, f := range slices.Concat([]faulty.Fault{faulty.None}, faulty.Before, faulty.After) {
		if !slices.Contains(one, f) {
			t.Errorf("%v never comes up", f)
		}
	}
}

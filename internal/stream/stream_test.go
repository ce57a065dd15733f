package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/errs"
)

// record is one record as Lambda delivers it; the image holds what must not be logged.
func record(sequence int, subject string) string {
	return fmt.Sprintf(`{"eventID":"id-%d","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb",
		"awsRegion":"eu-central-1","eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/Events/stream/2026-11-22T00:00:00.000",
		"dynamodb":{"ApproximateCreationDateTime":1783711145,"Keys":{"subject":{"S":%[2]q},"id":{"S":"%[1]d"}},
		"NewImage":{"subject":{"S":%[2]q},"email":{"S":"ada@example.com"},"list":{"L":[{"N":"1"},{"NULL":true},{"B":"AAE="}]}},
		"SequenceNumber":"%[1]d","SizeBytes":54,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`, sequence, subject)
}

// poison is a record whose image the library cannot decode.
func poison(sequence int) string {
	return fmt.Sprintf(`{"eventID":"id-%d","eventName":"MODIFY","dynamodb":{"SequenceNumber":"%d","NewImage":{"email":{"X":"ada@example.com"}}}}`, sequence, sequence)
}

func batch(records ...string) []byte {
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

func subjectOf(r events.DynamoDBEventRecord) (string, error) {
	return r.Change.Keys["subject"].String(), nil
}

// noMap is a map that cannot be written, as a forgotten make leaves it.
func noMap() map[string]int { return nil }

func TestInvoke_failures(t *testing.T) {
	boom := errors.New("about ada@example.com")
	odd := func(_ context.Context, r events.DynamoDBEventRecord) error {
		switch r.Change.SequenceNumber {
		case "2":
			return boom
		case "3":
			noMap()["ada@example.com"]++
		case "4":
			panic("ada@example.com")
		}
		return nil
	}
	for name, c := range map[string]struct {
		payload []byte
		batch   Batch
		want    []string
	}{
		"none":             {batch(), Each(odd), nil},
		"success":          {batch(record(1, "a"), record(5, "b")), Each(odd), nil},
		"some":             {batch(record(1, "a"), record(2, "b"), record(3, "c"), record(4, "d"), record(5, "e")), Each(odd), []string{"2", "3", "4"}},
		"undecodable":      {batch(record(1, "a"), poison(6), record(7, "a")), Each(odd), []string{"6"}},
		"only undecodable": {batch(poison(6)), func(context.Context, []events.DynamoDBEventRecord) map[int]error { panic("called") }, []string{"6"}},
		"not an object":    {batch(record(1, "a"), `7`), Each(odd), []string{""}},
		"no sequence":      {batch(record(1, "a"), `{"eventID":"x","dynamodb":{}}`), Each(odd), []string{""}},
		"nil error is no failure": {batch(record(1, "a"), record(2, "b")), func(context.Context, []events.DynamoDBEventRecord) map[int]error {
			return map[int]error{0: nil, 1: boom}
		}, []string{"2"}},
		"indexes after an undecodable one": {batch(poison(6), record(1, "a"), record(2, "b")), func(_ context.Context, r []events.DynamoDBEventRecord) map[int]error {
			return map[int]error{len(r) - 1: boom}
		}, []string{"6", "2"}},
		"by key": {batch(record(1, "a"), record(2, "b"), record(3, "a"), record(4, "c")), ByKey(subjectOf, func(_ context.Context, k string, r []events.DynamoDBEventRecord) error {
			if k == "a" && len(r) == 2 {
				return boom
			}
			if k == "c" {
				panic(k)
			}
			return nil
		}), []string{"1", "3", "4"}},
		"no key": {batch(record(1, "a"), record(2, "b"), record(3, "a")), ByKey(func(r events.DynamoDBEventRecord) (string, error) {
			if r.Change.SequenceNumber == "1" {
				return "", boom
			}
			if r.Change.SequenceNumber == "2" {
				panic("ada@example.com")
			}
			return subjectOf(r)
		}, func(context.Context, string, []events.DynamoDBEventRecord) error { return nil }), []string{"1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := quiet(t)
			out, err := Handler(c.batch).Invoke(t.Context(), c.payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, failures(t, out)); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(log.String(), "ada@") {
				t.Errorf("the log quotes an item: %s", log)
			}
			if got := strings.Count(log.String(), `"msg":"record failed"`); got != len(c.want) {
				t.Errorf("%d lines for %d failed records: %s", got, len(c.want), log)
			}
		})
	}
}

func TestInvoke_order(t *testing.T) {
	var got []string
	b := ByKey(subjectOf, func(_ context.Context, k string, rs []events.DynamoDBEventRecord) error {
		for _, r := range rs {
			got = append(got, k+r.Change.SequenceNumber)
		}
		return nil
	})
	if _, err := Handler(b).Invoke(t.Context(), batch(record(1, "b"), record(2, "a"), record(3, "b"), record(4, "c"), record(5, "a"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b1", "b3", "a2", "a5", "c4"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestInvoke_wholeBatch(t *testing.T) {
	log := quiet(t)
	for name, c := range map[string]struct {
		payload string
		batch   Batch
		want    error
	}{
		"empty":       {``, nil, ErrPayload},
		"not JSON":    {`{"Records":[`, nil, ErrPayload},
		"null":        {`null`, nil, ErrPayload},
		"other event": {`{"version":"2.0","rawPath":"/ada@example.com"}`, nil, ErrPayload},
		"wrong type":  {`{"Records":"ada@example.com"}`, nil, ErrPayload},
		"panic":       {string(batch(record(1, "a"))), func(context.Context, []events.DynamoDBEventRecord) map[int]error { panic("ada@example.com") }, ErrPanic},
		"wrong index": {string(batch(record(1, "a"))), func(context.Context, []events.DynamoDBEventRecord) map[int]error {
			return map[int]error{1: errors.New("x")}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Handler(c.batch).Invoke(t.Context(), []byte(c.payload))
			if err == nil || out != nil || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("got %s, %v, want %v", out, err, c.want)
			}
			if strings.Contains(err.Error()+log.String(), "ada@") {
				t.Errorf("quotes an item: %v, %s", err, log)
			}
		})
	}
	if !strings.Contains(log.String(), "TestInvoke_wholeBatch") {
		t.Errorf("no stack in %s", log)
	}
}

// TestInvoke_deadline: the records that were not reached in time are reported before Lambda stops the
// function, which would fail the whole batch.
func TestInvoke_deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		slow := Each(func(ctx context.Context, _ events.DynamoDBEventRecord) error {
			select {
			case <-time.After(6 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		out, err := Handler(slow).Invoke(ctx, batch(record(1, "a"), record(2, "b"), record(3, "c")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"2", "3"}, failures(t, out)); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took != 10*time.Second-margin {
			t.Errorf("took %v", took)
		}
	})
}

func TestText(t *testing.T) {
	pii := errors.New("about ada@example.com")
	for want, err := range map[string]error{
		"*errors.errorString":                        fmt.Errorf("reading ada@example.com: %w", pii),
		"invalid: preferences":                       errs.New(errs.Invalid, "preferences"),
		"unavailable: subjects: ThrottlingException": fmt.Errorf("ada@example.com: %w", errs.Wrap(errs.Unavailable, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "ada@example.com"}, "subjects")),
		"unavailable: subjects: *errors.errorString": errs.Wrap(errs.Unavailable, pii, "subjects"),
		"ValidationException":                        &smithy.OperationError{Err: &smithy.GenericAPIError{Code: "ValidationException", Message: "ada@example.com"}},
		"record cannot be decoded":                   errDecode{},
		"kind of it":                                 fmt.Errorf("ada@example.com: %w", kinded{}),
		"context.deadlineExceededError":              context.DeadlineExceeded,
		"*errors.joinError":                          errors.Join(pii, pii),
	} {
		if got := text(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

type kinded struct{}

func (kinded) Error() string { return "ada@example.com" }
func (kinded) Kind() string  { return "kind of it" }

// FuzzInvoke: whatever the payload, an error or a report that names only records of the payload.
func FuzzInvoke(f *testing.F) {
	f.Add(batch(record(1, "a"), record(2, "b"), poison(3)), uint8(1))
	f.Add(batch(), uint8(0))
	f.Add([]byte(`{"Records":[null,{},[],{"dynamodb":{"SequenceNumber":"1","Keys":{"a":{"SS":["x"]},"b":{"BS":["AA=="]}}}}]}`), uint8(2))
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, payload []byte, every uint8) {
		var good []string
		b := func(_ context.Context, records []events.DynamoDBEventRecord) map[int]error {
			failed := map[int]error{}
			for i, r := range records {
				if every > 0 && i%int(every) == 0 {
					failed[i] = errors.New("x")
				} else {
					good = append(good, r.Change.SequenceNumber)
				}
			}
			return failed
		}
		out, err := Handler(b).Invoke(t.Context(), payload)
		if err != nil {
			if !errors.Is(err, ErrPayload) {
				t.Fatal(err)
			}
			return
		}
		var e struct{ Records []json.RawMessage }
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		if got := len(failures(t, out)) + len(good); got != len(e.Records) {
			t.Errorf("%d of %d records accounted for", got, len(e.Records))
		}
	})
}

func failures(t *testing.T, out []byte) []string {
	t.Helper()
	var r events.DynamoDBEventResponse
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if r.BatchItemFailures == nil {
		t.Errorf("no list in %s", out)
	}
	var names []string
	for _, f := range r.BatchItemFailures {
		names = append(names, f.ItemIdentifier)
	}
	return names
}

// quiet sends the log into a buffer for the time of a test.
func quiet(t *testing.T) *bytes.Buffer {
	var b bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return &b
}

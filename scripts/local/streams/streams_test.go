package streams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

const streamARN = "arn:aws:dynamodb:eu-central-1:000000000000:table/Events/stream/2026-11-22T00:00:00.000"

// fake is a stream with a history of shards, which the emulator does not have. An iterator is
// "shard/position"; it answers each error of the script once.
type fake struct {
	mu     sync.Mutex
	shards []*fakeShard
	errs   map[string][]error // by operation
	calls  map[string]int
	page   int // shards per DescribeStream; all when 0
}

type fakeShard struct {
	id, parent string
	records    []string // sequence numbers
	closed     bool
	listedAt   time.Time
}

func (f *fake) fail(operation string) error {
	f.calls[operation]++
	if errs := f.errs[operation]; len(errs) > 0 {
		f.errs[operation] = errs[1:]
		return errs[0]
	}
	return nil
}

func (f *fake) DescribeStream(ctx context.Context, in *dynamodbstreams.DescribeStreamInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail("DescribeStream"); err != nil {
		return nil, err
	}
	d := &types.StreamDescription{}
	after := aws.ToString(in.ExclusiveStartShardId)
	for _, s := range f.shards {
		if after != "" {
			if s.id == after {
				after = ""
			}
			continue
		}
		if s.listedAt.After(time.Now()) {
			continue
		}
		if f.page > 0 && len(d.Shards) == f.page {
			d.LastEvaluatedShardId = d.Shards[f.page-1].ShardId
			break
		}
		shard := types.Shard{ShardId: aws.String(s.id), SequenceNumberRange: &types.SequenceNumberRange{}}
		if s.parent != "" {
			shard.ParentShardId = aws.String(s.parent)
		}
		if s.closed {
			shard.SequenceNumberRange.EndingSequenceNumber = aws.String("999")
		}
		d.Shards = append(d.Shards, shard)
	}
	return &dynamodbstreams.DescribeStreamOutput{StreamDescription: d}, nil
}

func (f *fake) shard(id string) *fakeShard {
	for _, s := range f.shards {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (f *fake) GetShardIterator(ctx context.Context, in *dynamodbstreams.GetShardIteratorInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail("GetShardIterator"); err != nil {
		return nil, err
	}
	s := f.shard(*in.ShardId)
	at := 0
	switch in.ShardIteratorType {
	case types.ShardIteratorTypeLatest:
		at = len(s.records)
	case types.ShardIteratorTypeAfterSequenceNumber:
		at = slices.Index(s.records, *in.SequenceNumber) + 1
	}
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: aws.String(fmt.Sprintf("%s/%d", s.id, at))}, nil
}

func (f *fake) GetRecords(ctx context.Context, in *dynamodbstreams.GetRecordsInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.fail("GetRecords"); err != nil {
		return nil, err
	}
	id, position, _ := strings.Cut(*in.ShardIterator, "/")
	at, _ := strconv.Atoi(position)
	s := f.shard(id)
	out := &dynamodbstreams.GetRecordsOutput{}
	for at < len(s.records) && len(out.Records) < int(*in.Limit) {
		out.Records = append(out.Records, rec(s.records[at]))
		at++
	}
	if at < len(s.records) || !s.closed {
		out.NextShardIterator = aws.String(fmt.Sprintf("%s/%d", id, at))
	}
	return out, nil
}

func rec(sequence string) types.Record {
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: sequence}}
	return types.Record{
		EventID: aws.String("e" + sequence), EventName: types.OperationTypeInsert, EventVersion: aws.String("1.1"),
		EventSource: aws.String("aws:dynamodb"), AwsRegion: aws.String("eu-central-1"),
		Dynamodb: &types.StreamRecord{
			ApproximateCreationDateTime: aws.Time(time.Now()), Keys: key,
			NewImage:       map[string]types.AttributeValue{"id": key["id"], "email": &types.AttributeValueMemberS{Value: "ada@example.com"}},
			SequenceNumber: aws.String(sequence), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	}
}

// function notes the batches that it was given and answers as told.
type function struct {
	mu      sync.Mutex
	batches []string // sequence numbers, joined with spaces
	answer  func(batch []string) ([]byte, error)
}

func (f *function) Invoke(_ context.Context, payload []byte) ([]byte, error) {
	var e events.DynamoDBEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	var batch []string
	for _, r := range e.Records {
		batch = append(batch, r.Change.SequenceNumber)
	}
	f.mu.Lock()
	f.batches = append(f.batches, strings.Join(batch, " "))
	f.mu.Unlock()
	if f.answer == nil {
		return []byte(`{"batchItemFailures":[]}`), nil
	}
	return f.answer(batch)
}

func (f *function) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.batches)
}

// queue keeps what it is sent.
type queue struct {
	mu       sync.Mutex
	messages []string
	errs     []error
}

func (q *queue) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.errs) > 0 {
		err := q.errs[0]
		q.errs = q.errs[1:]
		return nil, err
	}
	q.messages = append(q.messages, *in.MessageBody)
	return &sqs.SendMessageOutput{}, nil
}

func report(sequences ...string) []byte {
	r := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	for _, s := range sequences {
		r.BatchItemFailures = append(r.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: s})
	}
	b, _ := json.Marshal(r)
	return b
}

// run polls for a time of the test's clock.
func run(t *testing.T, c Config, d time.Duration) error {
	t.Helper()
	if f := c.Reader.(*fake); f.calls == nil {
		f.calls = map[string]int{}
	}
	c.StreamARN, c.Function = streamARN, "project"
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return Run(ctx, c)
}

func TestRun_shards(t *testing.T) {
	tree := func() []*fakeShard {
		return []*fakeShard{ // a child may be listed before its parent
			{id: "c", parent: "a", records: []string{"30", "31"}, closed: true},
			{id: "a", parent: "expired", records: []string{"10", "11", "12"}, closed: true},
			{id: "d", parent: "a", records: []string{"40"}},
			{id: "e", parent: "c", records: []string{"50"}},
			{id: "b", records: []string{"20"}},
		}
	}
	for name, c := range map[string]struct {
		f     *fake
		start string
		want  []string // sorted
		order []string // in this order among the others
	}{
		"children after parents": {&fake{shards: tree()}, "", []string{"10 11", "12", "20", "30 31", "40", "50"}, []string{"10 11", "12", "30 31", "50"}},
		"pages":                  {&fake{shards: tree(), page: 2}, "TRIM_HORIZON", []string{"10 11", "12", "20", "30 31", "40", "50"}, []string{"10 11", "12", "40"}},
		"from now on":            {&fake{shards: append(tree(), &fakeShard{id: "f", parent: "d", records: []string{"60"}, listedAt: time.Now().Add(5 * time.Second)})}, "LATEST", nil, nil},
		"errors": {&fake{shards: tree(), errs: map[string][]error{
			"DescribeStream":   {&types.InternalServerError{}, errors.New("no connection")},
			"GetShardIterator": {&types.InternalServerError{}, errors.New("no connection")},
			"GetRecords":       {&types.ExpiredIteratorException{}, &types.LimitExceededException{}, &types.ExpiredIteratorException{}, errors.New("no connection"), &types.TrimmedDataAccessException{}},
		}}, "", []string{"10 11", "12", "20", "30 31", "40", "50"}, []string{"10 11", "12", "30 31", "50"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, s := range c.f.shards {
					if !s.listedAt.IsZero() {
						s.listedAt = time.Now().Add(5 * time.Second)
					}
				}
				f := &function{}
				if err := run(t, Config{Reader: c.f, Handler: f, StartingPosition: c.start, BatchSize: 2}, time.Minute); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, slices.Sorted(slices.Values(f.got()))); diff != "" {
					t.Error(diff)
				}
				var order []string
				for _, b := range f.got() {
					if slices.Contains(c.order, b) {
						order = append(order, b)
					}
				}
				if diff := cmp.Diff(c.order, order); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestRun_split: shards close while they are read, and their children appear later.
func TestRun_split(t *testing.T) {
	for _, position := range []string{"TRIM_HORIZON", "LATEST"} {
		t.Run(position, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{shards: []*fakeShard{{id: "a", records: []string{"1"}}}}
				change := func(after time.Duration, do func()) {
					time.AfterFunc(after, func() {
						f.mu.Lock()
						defer f.mu.Unlock()
						do()
					})
				}
				change(3*time.Second, func() { f.shards[0].records = append(f.shards[0].records, "2") })
				change(6*time.Second, func() {
					f.shards = append(f.shards, &fakeShard{id: "b", parent: "a", records: []string{"4"}}, &fakeShard{id: "c", parent: "a", records: []string{"5"}, closed: true})
				})
				change(9*time.Second, func() { f.shards[0].records, f.shards[0].closed = append(f.shards[0].records, "3"), true })
				change(12*time.Second, func() { f.shards = f.shards[1:] }) // a has expired
				change(15*time.Second, func() { f.shards = append(f.shards, &fakeShard{id: "d", parent: "c", records: []string{"6"}}) })
				fn := &function{}
				if err := run(t, Config{Reader: f, Handler: fn, StartingPosition: position}, time.Minute); err != nil {
					t.Fatal(err)
				}
				got := fn.got()
				if position == "LATEST" {
					got = append([]string{"1"}, got...) // was there before
				}
				if len(got) != 6 {
					t.Fatalf("batches %q", got)
				}
				slices.Sort(got[3:5]) // siblings
				if diff := cmp.Diff([]string{"1", "2", "3", "4", "5", "6"}, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestRun_trimmed: records that were dropped before they could be read are lost, the next ones are not.
func TestRun_trimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{shards: []*fakeShard{{id: "a", records: []string{"1", "2", "3", "4"}, closed: true}}, errs: map[string][]error{}}
		fn := &function{answer: func(batch []string) ([]byte, error) {
			if batch[0] == "1" { // meanwhile the iterator expires and DynamoDB drops the first three
				f.mu.Lock()
				defer f.mu.Unlock()
				f.errs["GetRecords"] = []error{&types.ExpiredIteratorException{}}
				f.errs["GetShardIterator"] = []error{&types.TrimmedDataAccessException{}}
				f.shards[0].records = []string{"4"}
			}
			return report(), nil
		}}
		if err := run(t, Config{Reader: f, Handler: fn, BatchSize: 1}, time.Minute); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1", "4"}, fn.got()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRun_gone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &types.ResourceNotFoundException{}
		err := run(t, Config{Reader: &fake{errs: map[string][]error{"DescribeStream": {gone}}}, Handler: &function{}}, time.Minute)
		if !errors.As(err, &gone) {
			t.Errorf("got %v", err)
		}
		f := &fake{shards: []*fakeShard{{id: "a", records: []string{"1"}}, {id: "b", parent: "a", records: []string{"2"}}}, errs: map[string][]error{"GetRecords": {gone}}}
		fn := &function{}
		if err := run(t, Config{Reader: f, Handler: fn}, time.Minute); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"2"}, fn.got()); diff != "" {
			t.Errorf("child of a shard that is gone: %s", diff)
		}
	})
}

func TestRun_stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		finished := 0
		fn := &function{answer: func([]string) ([]byte, error) {
			cancel()
			time.Sleep(2 * time.Second)
			finished++
			return nil, errors.New("no luck")
		}}
		f := &fake{shards: []*fakeShard{{id: "a", records: []string{"1", "2", "3"}}}, calls: map[string]int{}}
		start := time.Now()
		err := Run(ctx, Config{Reader: f, StreamARN: streamARN, Handler: fn, BatchSize: 2, MaximumRetryAttempts: -1, BisectBatchOnFunctionError: true, Log: slog.New(slog.DiscardHandler)})
		if err != nil || finished != 1 || time.Since(start) != 2*time.Second {
			t.Errorf("%v, %d calls finished after %v", err, finished, time.Since(start))
		}
	})
}

func TestRun_failures(t *testing.T) {
	boom := errors.New("about ada@example.com")
	throws := func(poison string) func([]string) ([]byte, error) {
		return func(batch []string) ([]byte, error) {
			if slices.Contains(batch, poison) {
				return nil, boom
			}
			return report(), nil
		}
	}
	reports := func(poison ...string) func([]string) ([]byte, error) {
		return func(batch []string) ([]byte, error) {
			var failed []string
			for _, s := range batch {
				if slices.Contains(poison, s) {
					failed = append(failed, s)
				}
			}
			return report(failed...), nil
		}
	}
	recovers := func(sick ...string) func([]string) ([]byte, error) { // each of them at its second try
		tries := map[string]int{}
		return func(batch []string) ([]byte, error) {
			for _, s := range batch {
				if tries[s]++; slices.Contains(sick, s) && tries[s] == 1 {
					return report(s), nil
				}
			}
			return report(), nil
		}
	}
	says := func(out string) func([]string) ([]byte, error) {
		return func([]string) ([]byte, error) { return []byte(out), nil }
	}
	for name, c := range map[string]struct {
		config   Config
		answer   func([]string) ([]byte, error)
		batches  []string
		messages []string
	}{
		"success":                   {Config{ReportBatchItemFailures: true}, reports(), []string{"1 2 3 4", "5"}, nil},
		"reports are not asked for": {Config{}, reports("2"), []string{"1 2 3 4", "5"}, nil},
		"retried from the lowest": {Config{ReportBatchItemFailures: true, MaximumRetryAttempts: 1}, reports("4", "2"),
			[]string{"1 2 3 4", "2 3 4", "5"}, []string{"RetryAttemptsExhausted 2-4 of 3, 2 calls, error "}},
		"progress": {Config{ReportBatchItemFailures: true, MaximumRetryAttempts: 1}, recovers("2", "4"),
			[]string{"1 2 3 4", "2 3 4", "4", "5"}, nil},
		"last one": {Config{ReportBatchItemFailures: true, MaximumRetryAttempts: 2}, reports("5"),
			[]string{"1 2 3 4", "5", "5", "5"}, []string{"RetryAttemptsExhausted 5-5 of 1, 3 calls, error "}},
		"first one, splitting does not help": {Config{ReportBatchItemFailures: true, MaximumRetryAttempts: 1, BisectBatchOnFunctionError: true}, reports("1"),
			[]string{"1 2 3 4", "1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 2 calls, error "}},
		"no retries": {Config{}, throws("2"), []string{"1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 1 calls, error Unhandled"}},
		"whole batch retried": {Config{MaximumRetryAttempts: 2}, throws("3"),
			[]string{"1 2 3 4", "1 2 3 4", "1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 3 calls, error Unhandled"}},
		"split": {Config{MaximumRetryAttempts: 1, BisectBatchOnFunctionError: true, ReportBatchItemFailures: true}, throws("3"),
			[]string{"1 2 3 4", "1 2", "3 4", "3", "3", "4", "5"}, []string{"RetryAttemptsExhausted 3-3 of 1, 2 calls, error Unhandled"}},
		"empty name":  {Config{ReportBatchItemFailures: true}, says(`{"batchItemFailures":[{"itemIdentifier":""}]}`), []string{"1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 1 calls, error ", "RetryAttemptsExhausted 5-5 of 1, 1 calls, error "}},
		"null name":   {Config{ReportBatchItemFailures: true}, says(`{"batchItemFailures":[{"itemIdentifier":null}]}`), []string{"1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 1 calls, error ", "RetryAttemptsExhausted 5-5 of 1, 1 calls, error "}},
		"wrong key":   {Config{ReportBatchItemFailures: true}, says(`{"batchItemFailures":[{"sequenceNumber":"2"}]}`), []string{"1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 1 calls, error ", "RetryAttemptsExhausted 5-5 of 1, 1 calls, error "}},
		"null report": {Config{ReportBatchItemFailures: true}, says(`{"batchItemFailures":null}`), []string{"1 2 3 4", "5"}, nil},
		"empty":       {Config{ReportBatchItemFailures: true}, says(`{}`), []string{"1 2 3 4", "5"}, nil},
		"null":        {Config{ReportBatchItemFailures: true}, says(`null`), []string{"1 2 3 4", "5"}, nil},
		"panic": {Config{}, func(batch []string) ([]byte, error) {
			if batch[0] == "5" {
				panic("ada@example.com")
			}
			return report(), nil
		}, []string{"1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 5-5 of 1, 1 calls, error Unhandled"}},
		"timeout": {Config{Timeout: time.Second}, func(batch []string) ([]byte, error) {
			time.Sleep(2 * time.Second)
			return report(), nil
		}, []string{"1 2 3 4", "5"}, []string{"RetryAttemptsExhausted 1-4 of 4, 1 calls, error Unhandled", "RetryAttemptsExhausted 5-5 of 1, 1 calls, error Unhandled"}},
		"too old": {Config{MaximumRetryAttempts: -1, MaximumRecordAge: 10 * time.Second}, throws("2"),
			[]string{"1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "5"}, []string{"RecordAgeExceeded 1-4 of 4, 8 calls, error Unhandled"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				q := &queue{errs: []error{errors.New("not yet")}}
				fn := &function{answer: c.answer}
				c.config.Reader = &fake{shards: []*fakeShard{{id: "a", records: []string{"1", "2", "3", "4", "5"}, closed: true}}}
				c.config.Handler, c.config.BatchSize = fn, 4
				c.config.Sender, c.config.QueueURL = q, "queue"
				c.config.Log = slog.New(slog.NewJSONHandler(&log, nil))
				if err := run(t, c.config, time.Hour); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.batches, fn.got()); diff != "" {
					t.Error(diff)
				}
				var messages []string
				for _, m := range q.messages {
					var d discarded
					if err := json.Unmarshal([]byte(m), &d); err != nil {
						t.Fatal(err)
					}
					messages = append(messages, fmt.Sprintf("%s %s-%s of %d, %d calls, error %s", d.RequestContext.Condition, d.Batch.StartSequenceNumber,
						d.Batch.EndSequenceNumber, d.Batch.BatchSize, d.RequestContext.ApproximateInvokeCount, d.ResponseContext.FunctionError))
				}
				if diff := cmp.Diff(c.messages, messages); diff != "" {
					t.Error(diff)
				}
				if strings.Contains(log.String()+strings.Join(q.messages, ""), "ada@") {
					t.Errorf("an item in the log or the queue: %s", &log)
				}
				if (len(c.messages) > 0) != strings.Contains(log.String(), "batch given up") {
					t.Errorf("log %s", &log)
				}
			})
		})
	}
}

// TestDiscarded is the message as the developer guide shows it.
func TestDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		f := &fake{shards: []*fakeShard{{id: "shardId-00000001573689847184-864758bb", records: []string{"800000000003126276362"}, closed: true}}}
		fn := &function{answer: func([]string) ([]byte, error) { return nil, errors.New("no luck") }}
		if err := run(t, Config{Reader: f, Handler: fn, Sender: q, QueueURL: "queue"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(q.messages[0]), &got); err != nil {
			t.Fatal(err)
		}
		if id := got["requestContext"].(map[string]any)["requestId"].(string); len(id) != 36 {
			t.Errorf("request id %q", id)
		}
		delete(got["requestContext"].(map[string]any), "requestId")
		want := map[string]any{
			"requestContext":  map[string]any{"functionArn": "arn:aws:lambda:eu-central-1:000000000000:function:project", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 1.0},
			"responseContext": map[string]any{"statusCode": 200.0, "executedVersion": "$LATEST", "functionError": "Unhandled"},
			"version":         "1.0",
			"timestamp":       "2000-01-01T00:00:00.000Z", // synctest's clock
			"DDBStreamBatchInfo": map[string]any{
				"shardId": "shardId-00000001573689847184-864758bb", "startSequenceNumber": "800000000003126276362", "endSequenceNumber": "800000000003126276362",
				"approximateArrivalOfFirstRecord": "2000-01-01T00:00:00Z", "approximateArrivalOfLastRecord": "2000-01-01T00:00:00Z", "batchSize": 1.0, "streamArn": streamARN,
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEncode(t *testing.T) {
	r := types.Record{
		EventID: aws.String("f07f"), EventName: types.OperationTypeRemove, EventVersion: aws.String("1.1"), EventSource: aws.String("aws:dynamodb"),
		AwsRegion: aws.String("eu-central-1"), UserIdentity: &types.Identity{Type: aws.String("Service"), PrincipalId: aws.String("dynamodb.amazonaws.com")},
		Dynamodb: &types.StreamRecord{
			ApproximateCreationDateTime: aws.Time(time.Unix(1783711145, 766e6)), SequenceNumber: aws.String("1405400000000002063282832"), SizeBytes: aws.Int64(54),
			StreamViewType: types.StreamViewTypeNewAndOldImages,
			Keys:           map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "<é>"}},
			OldImage: map[string]types.AttributeValue{
				"s":    &types.AttributeValueMemberS{},
				"n":    &types.AttributeValueMemberN{Value: "1.50"},
				"b":    &types.AttributeValueMemberB{Value: []byte{0, 1, 0xff}},
				"none": &types.AttributeValueMemberB{},
				"bool": &types.AttributeValueMemberBOOL{Value: false},
				"null": &types.AttributeValueMemberNULL{Value: true},
				"ss":   &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
				"ns":   &types.AttributeValueMemberNS{Value: []string{"1", "2"}},
				"bs":   &types.AttributeValueMemberBS{Value: [][]byte{{0}, {1}}},
				"l":    &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"x": &types.AttributeValueMemberL{}}}}},
				"m":    &types.AttributeValueMemberM{},
			},
		},
	}
	payload, err := encode([]types.Record{r}, streamARN)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Records":[{"eventID":"f07f","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1",
		"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"eventSourceARN":"` + streamARN + `",
		"dynamodb":{"ApproximateCreationDateTime":1783711145,"SequenceNumber":"1405400000000002063282832","SizeBytes":54,"StreamViewType":"NEW_AND_OLD_IMAGES",
		"Keys":{"id":{"S":"<é>"}},"OldImage":{"s":{"S":""},"n":{"N":"1.50"},"b":{"B":"AAH/"},"none":{"B":""},"bool":{"BOOL":false},"null":{"NULL":true},
		"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["AA==","AQ=="]},"l":{"L":[{"M":{"x":{"L":[]}}}]},"m":{"M":{}}}}}]}`
	var a, b any
	if err := errors.Join(json.Unmarshal(payload, &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Error(diff)
	}
	var e events.DynamoDBEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	if got := e.Records[0].Change.OldImage["b"].Binary(); !bytes.Equal(got, []byte{0, 1, 0xff}) {
		t.Errorf("bytes %v", got)
	}
	if _, err := encode([]types.Record{{Dynamodb: &types.StreamRecord{Keys: map[string]types.AttributeValue{"x": &types.UnknownUnionMember{}}}}}, streamARN); err == nil {
		t.Error("no error for an attribute of unknown type")
	}
}

func TestDeliver_tooLargeForOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := func(sequence string) types.Record {
			r := rec(sequence)
			r.Dynamodb.NewImage["big"] = &types.AttributeValueMemberS{Value: strings.Repeat("a", 400_000)}
			return r
		}
		var batch []types.Record
		for i := range 20 {
			batch = append(batch, big(strconv.Itoa(i)))
		}
		fn := &function{}
		p := &poller{Config: Config{Handler: fn, StreamARN: streamARN}, log: slog.New(slog.DiscardHandler)}
		if err := p.deliver(t.Context(), "a", batch); err != nil {
			t.Fatal(err)
		}
		if got := fn.got(); len(got) != 2 || !strings.HasPrefix(got[0], "0 ") || !strings.HasPrefix(got[1], "10 ") {
			t.Errorf("batches %q", got)
		}
	})
}

// Package stream runs a function over the batches that Lambda reads from a DynamoDB stream and reports
// the records that failed, so that Lambda retries from the first of them and not the whole batch
// (FunctionResponseTypes: ReportBatchItemFailures).
//
// Lambda takes the lowest reported sequence number and delivers everything from there again, records
// that had succeeded included, and after the last attempt drops that rest of the batch. A function must
// therefore be idempotent, and must try the records behind a failed one instead of stopping at it.
package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// Batch handles the records of one invocation, in stream order, and returns an error for each record,
// by index, that must be delivered again. Its context ends a moment before Lambda would stop the
// function, which leaves time to report.
type Batch func(ctx context.Context, records []events.DynamoDBEventRecord) (failed map[int]error)

// ErrPayload is returned by Invoke for a payload that is not a batch of stream records.
var ErrPayload = errors.New("stream: not a batch of DynamoDB stream records")

// ErrPanic is returned by Invoke when the Batch panicked: nobody knows what it had done, so the whole
// invocation fails and Lambda, with BisectBatchOnFunctionError, narrows the batch down to the record.
var ErrPanic = errors.New("stream: panic")

// margin is what is left of the invocation when the Batch's context ends.
const margin = time.Second

// Handler returns the Lambda handler that runs b. Failed records are logged one by one, without any
// of the item's content.
func Handler(b Batch) lambda.Handler { return adapter{b} }

type adapter struct{ batch Batch }

// Invoke handles one event.
func (a adapter) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e struct{ Records []json.RawMessage }
	if err := json.Unmarshal(payload, &e); err != nil || e.Records == nil {
		return nil, ErrPayload // the decoder's error may quote the payload
	}
	if d, ok := ctx.Deadline(); ok && time.Until(d) > 2*margin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d.Add(-margin))
		defer cancel()
	}
	all := make([]events.DynamoDBEventRecord, len(e.Records))
	errs := make([]error, len(e.Records))
	var good []events.DynamoDBEventRecord
	var index []int // of each good record among all
	for i, raw := range e.Records {
		if all[i], errs[i] = decode(raw); errs[i] == nil {
			good, index = append(good, all[i]), append(index, i)
		}
	}
	if len(good) > 0 {
		failed, err := a.run(ctx, good)
		if err != nil {
			return nil, err
		}
		for i, err := range failed {
			if i < 0 || i >= len(good) {
				return nil, fmt.Errorf("stream: record %d of %d reported", i, len(good))
			}
			errs[index[i]] = err
		}
	}
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	for i, err := range errs {
		if err == nil {
			continue
		}
		r := all[i]
		slog.ErrorContext(ctx, "record failed", "eventId", r.EventID, "sequenceNumber", r.Change.SequenceNumber,
			"eventName", r.EventName, "error", text(err))
		response.BatchItemFailures = append(response.BatchItemFailures,
			events.DynamoDBBatchItemFailure{ItemIdentifier: r.Change.SequenceNumber})
	}
	return json.Marshal(response)
}

func (a adapter) run(ctx context.Context, records []events.DynamoDBEventRecord) (failed map[int]error, err error) {
	defer func() {
		if v := recover(); v != nil {
			logPanic(ctx, v)
			err = ErrPanic
		}
	}()
	return a.batch(ctx, records), nil
}

// errDecode stands for a record that this version of the library cannot read.
type errDecode struct{}

func (errDecode) Error() string  { return "record cannot be decoded" }
func (e errDecode) Safe() string { return e.Error() }

// decode reads one record; of one that it cannot read, at least what names it. Without a sequence
// number the report names no record, which Lambda takes for a failure of the whole batch.
func decode(raw json.RawMessage) (events.DynamoDBEventRecord, error) {
	var r events.DynamoDBEventRecord
	if err := json.Unmarshal(raw, &r); err == nil && r.Change.SequenceNumber != "" {
		return r, nil
	}
	var name struct {
		EventID, EventName string
		DynamoDB           struct{ SequenceNumber string }
	}
	_ = json.Unmarshal(raw, &name)
	r = events.DynamoDBEventRecord{EventID: name.EventID, EventName: name.EventName}
	r.Change.SequenceNumber = name.DynamoDB.SequenceNumber
	return r, errDecode{}
}

// Each makes a Batch that calls f for each record, in order. A record that fails or panics does not
// keep f from those behind it.
func Each(f func(ctx context.Context, record events.DynamoDBEventRecord) error) Batch {
	return func(ctx context.Context, records []events.DynamoDBEventRecord) map[int]error {
		failed := map[int]error{}
		for i, r := range records {
			if err := isolate(ctx, func() error { return f(ctx, r) }); err != nil {
				failed[i] = err
			}
		}
		return failed
	}
}

// ByKey makes a Batch that calls f once for each distinct key, in the order of their first records,
// with all records of that key. When f fails or panics, all of them fail; other keys go on. A record
// for which key returns an error fails alone.
func ByKey(key func(events.DynamoDBEventRecord) (string, error), f func(ctx context.Context, key string, records []events.DynamoDBEventRecord) error) Batch {
	return func(ctx context.Context, records []events.DynamoDBEventRecord) map[int]error {
		failed := map[int]error{}
		var keys []string
		groups := map[string][]int{}
		for i, r := range records {
			var k string
			err := isolate(ctx, func() (err error) { k, err = key(r); return err })
			if err != nil {
				failed[i] = err
				continue
			}
			if groups[k] == nil {
				keys = append(keys, k)
			}
			groups[k] = append(groups[k], i)
		}
		for _, k := range keys {
			var group []events.DynamoDBEventRecord
			for _, i := range groups[k] {
				group = append(group, records[i])
			}
			if err := isolate(ctx, func() error { return f(ctx, k, group) }); err != nil {
				for _, i := range groups[k] {
					failed[i] = err
				}
			}
		}
		return failed
	}
}

// isolate calls f unless the time is up, and turns a panic into an error.
func isolate(ctx context.Context, f func() error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if v := recover(); v != nil {
			logPanic(ctx, v)
			err = panicked{}
		}
	}()
	return f()
}

type panicked struct{}

func (panicked) Error() string  { return "panic" }
func (p panicked) Safe() string { return p.Error() }

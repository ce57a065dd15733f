package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/scripts/local/edge"
)

// maxPayload is the most that Lambda takes in one call.
const maxPayload = 6291556

// call is what came of one invocation.
type call struct {
	requestID string
	done      int   // how many records, from the first one, need not come again
	err       error // of the function; nil when it reported records
}

// deliver hands the records to the function until it has taken them or they are given up. It fails only
// when ctx ends first, or for records that cannot be written as an event.
//
// When the function names records that failed, everything from the first of them comes again. When the
// call fails and the batch may be split, its halves come one after the other, each with all its
// attempts. A batch whose first record keeps failing is not split, as the developer guide says: when its
// attempts are used up, all of it is given up, the records behind that the function had taken included.
func (p *poller) deliver(ctx context.Context, shard string, batch []types.Record) error {
	payload, err := encode(batch, p.StreamARN)
	if err != nil {
		return err
	}
	if len(payload) > maxPayload && len(batch) > 1 {
		return p.halves(ctx, shard, batch)
	}
	for attempt := 0; ; {
		c := p.invoke(ctx, batch, payload)
		if c.done == len(batch) {
			return nil
		}
		p.log.Error("batch failed", "shard", shard, "requestId", c.requestID, "records", len(batch)-c.done, "attempt", attempt+1, "error", errorText(c.err))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.done > 0 { // the rest is a batch of its own, which has failed once
			batch, attempt = batch[c.done:], 0
			if payload, err = encode(batch, p.StreamARN); err != nil {
				return err
			}
		}
		switch {
		case c.err != nil && p.BisectBatchOnFunctionError && len(batch) > 1:
			return p.halves(ctx, shard, batch)
		case p.MaximumRetryAttempts >= 0 && attempt >= p.MaximumRetryAttempts:
			return p.discard(ctx, shard, batch, c, attempt+1, "RetryAttemptsExhausted")
		case time.Since(created(batch[0])) > p.MaximumRecordAge:
			return p.discard(ctx, shard, batch, c, attempt+1, "RecordAgeExceeded") // the name is a guess
		}
		attempt++
		if !sleep(ctx, backoff(attempt)) {
			return ctx.Err()
		}
	}
}

func (p *poller) halves(ctx context.Context, shard string, batch []types.Record) error {
	middle := len(batch) / 2
	if err := p.deliver(ctx, shard, batch[:middle]); err != nil {
		return err
	}
	if ctx.Err() != nil { // nothing new after the end
		return ctx.Err()
	}
	return p.deliver(ctx, shard, batch[middle:])
}

// invoke calls the function once. The end of ctx does not interrupt it.
func (p *poller) invoke(ctx context.Context, batch []types.Record, payload []byte) call {
	c := call{requestID: uuid.NewString(), done: len(batch)}
	ctx = lambdacontext.NewContext(context.WithoutCancel(ctx), &lambdacontext.LambdaContext{AwsRequestID: c.requestID})
	out, err := p.Handler.Invoke(ctx, payload)
	switch {
	case err != nil:
		c.done, c.err = 0, err
	case p.ReportBatchItemFailures:
		c.done = firstFailure(batch, out)
	}
	return c
}

// firstFailure is the index of the first record that the function named as failed, the number of
// records when there is none. A report that names something else means all of them.
func firstFailure(batch []types.Record, out []byte) int {
	var report struct {
		Failures []struct {
			ID *string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return 0
	}
	index := map[string]int{}
	for i, r := range batch {
		index[aws.ToString(r.Dynamodb.SequenceNumber)] = i
	}
	first := len(batch)
	for _, f := range report.Failures {
		i, ok := index[aws.ToString(f.ID)]
		if !ok {
			return 0
		}
		first = min(first, i)
	}
	return first
}

// discarded is the message to the on-failure destination: what to look for in the stream, not the
// records themselves.
type discarded struct {
	RequestContext struct {
		RequestID              string `json:"requestId"`
		FunctionARN            string `json:"functionArn"`
		Condition              string `json:"condition"`
		ApproximateInvokeCount int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	ResponseContext struct {
		StatusCode      int    `json:"statusCode"`
		ExecutedVersion string `json:"executedVersion"`
		FunctionError   string `json:"functionError,omitempty"`
	} `json:"responseContext"`
	Version   string `json:"version"`
	Timestamp string `json:"timestamp"`
	Batch     struct {
		ShardID                         string `json:"shardId"`
		StartSequenceNumber             string `json:"startSequenceNumber"`
		EndSequenceNumber               string `json:"endSequenceNumber"`
		ApproximateArrivalOfFirstRecord string `json:"approximateArrivalOfFirstRecord"`
		ApproximateArrivalOfLastRecord  string `json:"approximateArrivalOfLastRecord"`
		BatchSize                       int    `json:"batchSize"`
		StreamARN                       string `json:"streamArn"`
	} `json:"DDBStreamBatchInfo"`
}

// discard gives the batch up. It goes on only when the queue has been told.
func (p *poller) discard(ctx context.Context, shard string, batch []types.Record, c call, calls int, condition string) error {
	p.log.Error("batch given up", "shard", shard, "records", len(batch), "condition", condition)
	if p.QueueURL == "" {
		return nil
	}
	first, last := batch[0], batch[len(batch)-1]
	var d discarded
	d.RequestContext.RequestID = c.requestID
	d.RequestContext.FunctionARN = edge.ARN(p.Function)
	d.RequestContext.Condition = condition
	d.RequestContext.ApproximateInvokeCount = calls
	d.ResponseContext.StatusCode, d.ResponseContext.ExecutedVersion = 200, "$LATEST"
	if c.err != nil {
		d.ResponseContext.FunctionError = "Unhandled"
	}
	d.Version, d.Timestamp = "1.0", time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	d.Batch.ShardID, d.Batch.StreamARN, d.Batch.BatchSize = shard, p.StreamARN, len(batch)
	d.Batch.StartSequenceNumber = aws.ToString(first.Dynamodb.SequenceNumber)
	d.Batch.EndSequenceNumber = aws.ToString(last.Dynamodb.SequenceNumber)
	d.Batch.ApproximateArrivalOfFirstRecord = created(first).UTC().Format(time.RFC3339)
	d.Batch.ApproximateArrivalOfLastRecord = created(last).UTC().Format(time.RFC3339)
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		_, err := p.Sender.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &p.QueueURL, MessageBody: aws.String(string(body))})
		if err == nil {
			return nil
		}
		p.log.Error("queue not told", "error", errorText(err))
		if !sleep(ctx, backoff(attempt)) {
			return ctx.Err()
		}
	}
}

func created(r types.Record) time.Time { return aws.ToTime(r.Dynamodb.ApproximateCreationDateTime) }

// errorText is what may be logged of an error: texts of functions may quote the records.
func errorText(err error) string {
	var code interface{ ErrorCode() string }
	var function *edge.FunctionError
	switch {
	case err == nil:
		return "records reported"
	case errors.As(err, &function):
		return function.Type
	case errors.As(err, &code):
		return code.ErrorCode()
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

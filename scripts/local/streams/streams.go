// Package streams stands for Lambda's event source mapping of a DynamoDB stream on the local stack: it
// reads all shards of the stream and calls a function with the batches, as Lambda does.
//
// A shard is read only when its parent has been read to the end, so the records of one item arrive in
// order. Nothing is remembered across runs: with TRIM_HORIZON each run delivers again what the stream
// still holds, and functions are idempotent anyway, because Lambda delivers twice at times.
//
// The behaviour is that of the Lambda developer guide (pages "Using AWS Lambda with Amazon DynamoDB",
// "Configuring partial batch response with DynamoDB and Lambda", "Retain discarded records for a
// DynamoDB event source"). Not done: filters, tumbling windows, batching windows, parallel batches of
// one shard.
package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/avow-consent/avow/scripts/local/edge"
)

// Reader is what is used of DynamoDB Streams; *dynamodbstreams.Client has it.
type Reader interface {
	DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// Sender is what is used of SQS; *sqs.Client has it.
type Sender interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// Config is one event source mapping.
type Config struct {
	Reader    Reader
	StreamARN string

	Function string // name
	Handler  lambda.Handler
	Timeout  time.Duration // of one call; Lambda's default when 0

	// StartingPosition is TRIM_HORIZON, also when empty, or LATEST.
	StartingPosition string
	// BatchSize is the most records of one call; 100 when 0, at most 1,000.
	BatchSize int
	// ReportBatchItemFailures lets the function name the records that failed. Without it, whatever the
	// function returns is a success.
	ReportBatchItemFailures bool
	// BisectBatchOnFunctionError splits a batch in two when the call fails, down to single records.
	BisectBatchOnFunctionError bool
	// MaximumRetryAttempts is how often a batch is tried again; -1 for as long as its records live.
	MaximumRetryAttempts int
	// MaximumRecordAge is how old the records of a batch that is tried again may be; 24 hours, when
	// DynamoDB drops them, if 0.
	MaximumRecordAge time.Duration

	// Sender and QueueURL say who is told of a batch that was given up. Nobody if QueueURL is empty.
	Sender   Sender
	QueueURL string

	// Log receives a line per failed call; slog.Default when nil.
	Log *slog.Logger
}

const (
	idle    = 100 * time.Millisecond // between two reads of a shard that had nothing new
	refresh = time.Second            // between two looks for new shards
	maxWait = 5 * time.Second        // between two attempts
)

// LatestStream returns the ARN of a table's stream.
func LatestStream(ctx context.Context, client *dynamodb.Client, table string) (string, error) {
	out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return "", fmt.Errorf("finding the stream of %s: %w", table, err)
	}
	if out.Table.LatestStreamArn == nil {
		return "", fmt.Errorf("table %s has no stream", table)
	}
	return *out.Table.LatestStreamArn, nil
}

// Run polls until ctx ends, then lets running calls end and returns nil. A failed batch is not tried
// again after that. It returns an error when the stream is gone.
func Run(ctx context.Context, c Config) error {
	if c.BatchSize = cmp.Or(c.BatchSize, 100); c.BatchSize > 1000 {
		c.BatchSize = 1000
	}
	c.StartingPosition = cmp.Or(c.StartingPosition, string(types.ShardIteratorTypeTrimHorizon))
	c.MaximumRecordAge = cmp.Or(c.MaximumRecordAge, 24*time.Hour)
	c.Handler = edge.Runtime(c.Function, c.Timeout, c.Handler)
	p := &poller{Config: c, log: cmp.Or(c.Log, slog.Default()).With("function", c.Function)}

	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	return p.follow(ctx, &readers)
}

type poller struct {
	Config
	log *slog.Logger
}

// follow starts a reader for each shard when its turn has come.
func (p *poller) follow(ctx context.Context, readers *sync.WaitGroup) error {
	type end struct {
		shard string
		err   error
	}
	ends := make(chan end)
	started, ended := map[string]bool{}, map[string]bool{}
	start := func(shard, position string) {
		started[shard] = true
		readers.Go(func() {
			err := p.read(ctx, shard, position)
			select {
			case ends <- end{shard, err}:
			case <-ctx.Done():
			}
		})
	}
	latest := p.StartingPosition == string(types.ShardIteratorTypeLatest)
	for wait := refresh; ; {
		shards, err := p.shards(ctx)
		if gone := (*types.ResourceNotFoundException)(nil); errors.As(err, &gone) {
			return fmt.Errorf("reading stream %s: %w", p.StreamARN, err)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			p.log.Warn("stream not described", "error", errorText(err))
			wait = min(2*wait, maxWait)
		} else {
			wait = refresh
			listed := map[string]bool{}
			for _, s := range shards {
				listed[*s.ShardId] = true
			}
			for _, s := range shards {
				id, parent := *s.ShardId, aws.ToString(s.ParentShardId)
				switch {
				case started[id] || ended[id]:
				case latest && s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil:
					ended[id] = true // closed before we came
				case latest:
					start(id, string(types.ShardIteratorTypeLatest))
				case parent == "" || !listed[parent] || ended[parent]: // a parent that is not listed has expired
					start(id, string(types.ShardIteratorTypeTrimHorizon))
				}
			}
			latest = false // shards that come later are children, read from their beginning
			for id := range ended {
				if !listed[id] {
					delete(ended, id)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-ends:
			if e.err != nil {
				return e.err
			}
			delete(started, e.shard)
			ended[e.shard] = true
		case <-time.After(wait):
		}
	}
}

// shards lists all shards of the stream.
func (p *poller) shards(ctx context.Context) ([]types.Shard, error) {
	var all []types.Shard
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: &p.StreamARN}
	for {
		out, err := p.Reader.DescribeStream(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.StreamDescription.Shards...)
		if in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return all, nil
		}
	}
}

// read delivers a shard to its end. It returns nil when the shard or ctx has ended.
func (p *poller) read(ctx context.Context, shard, position string) error {
	var iterator *string
	last := "" // sequence number of the last record that is done
	for failures := 0; ctx.Err() == nil; {
		if iterator == nil {
			var err error
			if iterator, err = p.iterator(ctx, shard, position, last); err == nil && iterator == nil {
				return nil
			} else if err != nil {
				if next := p.resume(ctx, shard, err, &failures, &position, &last); !next {
					return nil
				}
				continue
			}
		}
		out, err := p.Reader.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(int32(p.BatchSize))})
		if err != nil {
			if expired := (*types.ExpiredIteratorException)(nil); errors.As(err, &expired) {
				iterator = nil
				continue
			}
			if next := p.resume(ctx, shard, err, &failures, &position, &last); !next {
				return nil
			}
			iterator = nil
			continue
		}
		failures = 0
		if n := len(out.Records); n > 0 {
			if err := p.deliver(ctx, shard, out.Records); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			last = *out.Records[n-1].Dynamodb.SequenceNumber
		}
		if iterator = out.NextShardIterator; iterator == nil {
			return nil
		}
		if len(out.Records) == 0 {
			sleep(ctx, idle)
		}
	}
	return nil
}

// iterator points behind the last record that is done, or to where the shard is to be begun.
func (p *poller) iterator(ctx context.Context, shard, position, last string) (*string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &p.StreamARN, ShardId: &shard, ShardIteratorType: types.ShardIteratorType(position)}
	if last != "" {
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &last
	}
	out, err := p.Reader.GetShardIterator(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// resume decides how a reader goes on after an error: not at all when the shard is gone; with the
// oldest record there is when those it wanted have been dropped; else with the same again, later.
func (p *poller) resume(ctx context.Context, shard string, err error, failures *int, position, last *string) bool {
	if ctx.Err() != nil {
		return false
	}
	if gone := (*types.ResourceNotFoundException)(nil); errors.As(err, &gone) {
		p.log.Warn("shard gone", "shard", shard)
		return false
	}
	if trimmed := (*types.TrimmedDataAccessException)(nil); errors.As(err, &trimmed) {
		p.log.Warn("records lost", "shard", shard) // they were older than 24 hours
		*position, *last = string(types.ShardIteratorTypeTrimHorizon), ""
		return true
	}
	p.log.Warn("shard not read", "shard", shard, "error", errorText(err))
	*failures++
	return sleep(ctx, backoff(*failures))
}

// backoff is the pause before attempt n, the first repetition being 1.
func backoff(n int) time.Duration {
	return min(idle<<min(n-1, 10), maxWait)
}

// sleep reports whether the time has passed without ctx ending.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

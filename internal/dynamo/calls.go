package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// The bounds of asking again for what a batch left out because of throttling.
const (
	batchSize     = 100
	batchAttempts = 6
	batchPause    = 25 * time.Millisecond
)

// batchGet reads rows by their keys, a hundred with each call, and calls each
// with those that exist, in no order. No key may stand twice.
func batchGet(ctx context.Context, client *client, table string, keys []item, consistent bool, each func(item) error) error {
	for chunk := range slices.Chunk(keys, batchSize) {
		ask := types.KeysAndAttributes{ConsistentRead: &consistent}
		for _, key := range chunk {
			ask.Keys = append(ask.Keys, key)
		}
		for attempt := 1; len(ask.Keys) > 0; attempt++ {
			if attempt > batchAttempts {
				return errs.New(errs.Unavailable, "dynamodb BatchGetItem: throttled")
			}
			if attempt > 1 {
				if err := pause(ctx, batchPause<<attempt); err != nil {
					return cloud.Fault("dynamodb BatchGetItem", err)
				}
			}
			out, err := client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{table: ask},
			})
			if err != nil {
				return cloud.Fault("dynamodb BatchGetItem", err)
			}
			for _, row := range out.Responses[table] {
				if err := each(row); err != nil {
					return err
				}
			}
			ask.Keys = out.UnprocessedKeys[table].Keys
		}
	}
	return nil
}

// pause waits for half of d to d.
func pause(ctx context.Context, d time.Duration) error {
	return smithytime.SleepWithContext(ctx, d/2+rand.N(d/2))
}

// The codes of a canceled transaction.
const (
	conditionFailed     = "ConditionalCheckFailed"
	transactionConflict = "TransactionConflict"
)

// canceled says why a transaction was canceled: by a condition first of all,
// because that lasts. "" means that it was not. The texts beside the codes could
// quote items.
func canceled(err error) (code string) {
	var failed *types.TransactionCanceledException
	if !errors.As(err, &failed) {
		return ""
	}
	code = "TransactionCanceled"
	for _, reason := range failed.CancellationReasons {
		switch c := aws.ToString(reason.Code); c {
		case "", "None":
		case conditionFailed:
			return c
		default:
			code = c
		}
	}
	return code
}

// passes reports whether the reason of a canceled transaction may pass.
func passes(code string) bool {
	return slices.Contains([]string{transactionConflict, "ThrottlingError", "ProvisionedThroughputExceeded"}, code)
}

// errCondition is a transaction or write whose condition does not hold.
var errCondition = errs.New(errs.Conflict, "what is written to has changed since it was read")

// transact carries a transaction out. Another one at the same rows, or
// throttling, is waited for, within bounds: then Unavailable. A failed
// condition is errCondition. The token makes a repetition after a lost reply
// harmless; at most 36 characters.
func transact(ctx context.Context, client *client, token string, writes []types.TransactWriteItem) error {
	const operation = "dynamodb TransactWriteItems"
	for attempt := 1; ; attempt++ {
		_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes, ClientRequestToken: &token})
		code := canceled(err)
		switch {
		case code == "":
			return cloud.Fault(operation, err)
		case code == conditionFailed:
			return errCondition
		case !passes(code):
			return errs.New(errs.Internal, "%s: %s", operation, code)
		case attempt == batchAttempts:
			return errs.New(errs.Unavailable, "%s: %s", operation, code)
		}
		if err := pause(ctx, batchPause<<attempt); err != nil {
			return cloud.Fault(operation, err)
		}
	}
}

// alone carries out a write of a single row, which a transaction at the same row
// may hold up: that is waited for like in transact. A failed condition is
// errCondition.
func alone(ctx context.Context, operation string, write func() error) error {
	for attempt := 1; ; attempt++ {
		err := write()
		var failed *types.ConditionalCheckFailedException
		var busy *types.TransactionConflictException
		switch {
		case errors.As(err, &failed):
			return errCondition
		case !errors.As(err, &busy):
			return cloud.Fault(operation, err)
		case attempt == batchAttempts:
			return errs.New(errs.Unavailable, "%s: %s", operation, transactionConflict)
		}
		if err := pause(ctx, batchPause<<attempt); err != nil {
			return cloud.Fault(operation, err)
		}
	}
}

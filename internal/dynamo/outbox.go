package dynamo

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/outbox"
)

// Outbox keeps what has to be told.
type Outbox struct {
	client *client
	table  string
}

var _ outbox.Store = (*Outbox)(nil)

// NewOutbox returns the outbox in the given table.
func NewOutbox(cfg aws.Config, table string) *Outbox {
	return &Outbox{client: newClient(cfg), table: table}
}

func outboxKey(r outbox.Ref) item { return item{"subject": text(r.Subject), "entry": text(r.Sort())} }

// The partitions of the index Waiting: of all entries that are due, and apart from
// them what is due at a moment that may be years away, so that nobody who counts
// what waits goes through it.
const (
	waiting  = "due"
	expiring = "expiry"
)

// waitsIn is the partition in which an entry waits.
func waitsIn(k outbox.Kind) string {
	if k == outbox.Expiry {
		return expiring
	}
	return waiting
}

// Add implements outbox.Store.
func (s *Outbox) Add(ctx context.Context, e outbox.Entry) error {
	row := outboxKey(e.Ref)
	row["site"], row["since"], row["next"] = text(e.Site), millis(e.Since), millis(e.Next)
	row["version"], row["state"], row["waits"] = number(1), text(string(outbox.Due)), text(waitsIn(e.Kind))
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: row, ConditionExpression: aws.String("attribute_not_exists(entry)"),
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) { // it is noted already
		return nil
	}
	return cloud.Fault("dynamodb PutItem", err)
}

// Renew implements outbox.Store. It leaves the lease alone: whoever is at the
// entry finds the new version when it settles.
func (s *Outbox) Renew(ctx context.Context, e outbox.Entry) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table,
		Key:       outboxKey(e.Ref),
		UpdateExpression: aws.String("SET site = :s, since = if_not_exists(since, :since), #n = :next, #s = :due, waits = :w " +
			"REMOVE ended, told, effect, reason, expires, attempts ADD #v :one"),
		ExpressionAttributeNames: map[string]string{"#n": "next", "#s": "state", "#v": "version"},
		ExpressionAttributeValues: item{
			":s": text(e.Site), ":since": millis(e.Since), ":next": millis(e.Next), ":due": text(string(outbox.Due)), ":w": text(waitsIn(e.Kind)), ":one": number(1),
		},
	})
	return cloud.Fault("dynamodb UpdateItem", err)
}

// Take implements outbox.Store. Each call has a number of its own, by which it
// knows its own write again when the reply was lost.
func (s *Outbox) Take(ctx context.Context, r outbox.Ref, now, lease time.Time) (*outbox.Entry, error) {
	holder := rand.Int64()
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &s.table,
		Key:                      outboxKey(r),
		UpdateExpression:         aws.String("SET previous = if_not_exists(lease, :none), lease = :lease, holder = :h ADD attempts :one"),
		ConditionExpression:      aws.String("waits = :w AND #n <= :now AND (attribute_not_exists(lease) OR lease <= :now)"),
		ExpressionAttributeNames: map[string]string{"#n": "next"},
		ExpressionAttributeValues: item{
			":none": number(0), ":lease": millis(lease), ":h": number(holder), ":one": number(1), ":w": text(waitsIn(r.Kind)), ":now": millis(now),
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed) && getNumber(failed.Item, "holder") == holder:
		return decodeEntry(r, failed.Item), nil
	case errors.As(err, &failed): // not due, gone, or with another invocation
		return nil, nil
	case err != nil:
		return nil, cloud.Fault("dynamodb UpdateItem", err)
	}
	return decodeEntry(r, out.Attributes), nil
}

func decodeEntry(r outbox.Ref, row item) *outbox.Entry {
	return &outbox.Entry{
		Ref: r, Site: getText(row, "site"), Since: getTime(row, "since"), Version: int(getNumber(row, "version")),
		Attempts: int(getNumber(row, "attempts")), Again: getNumber(row, "previous") != 0, Holder: getNumber(row, "holder"),
		Next: getTime(row, "next"), Memo: getText(row, "memo"), Held: getTime(row, "held"),
	}
}

// Remember implements outbox.Store.
func (s *Outbox) Remember(ctx context.Context, e *outbox.Entry, memo string, now time.Time) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: outboxKey(e.Ref),
		UpdateExpression:          aws.String("SET memo = :memo, memoAt = :now"),
		ConditionExpression:       aws.String("attribute_exists(lease) AND holder = :h"),
		ExpressionAttributeValues: item{":h": number(e.Holder), ":memo": text(memo), ":now": millis(now)},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return errElsewhere
	}
	return cloud.Fault("dynamodb UpdateItem", err)
}

// errElsewhere is met by whoever has lost the lease of an entry.
var errElsewhere = errs.New(errs.Conflict, "another invocation is at this entry of the outbox")

// Settle implements outbox.Store.
func (s *Outbox) Settle(ctx context.Context, e *outbox.Entry, o outbox.Outcome, now time.Time) (fresh bool, err error) {
	in := &dynamodb.UpdateItemInput{
		TableName:                           &s.table,
		Key:                                 outboxKey(e.Ref),
		UpdateExpression:                    aws.String("SET #s = :s, #r = :r, #n = :next REMOVE lease"),
		ConditionExpression:                 aws.String("attribute_exists(lease) AND holder = :h AND #v = :v"),
		ExpressionAttributeNames:            map[string]string{"#v": "version", "#s": "state", "#r": "reason"},
		ExpressionAttributeValues:           item{":h": number(e.Holder), ":v": number(int64(e.Version)), ":s": text(string(o.State)), ":r": text(o.Reason)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if o.State == outbox.Due {
		in.ExpressionAttributeNames["#n"], in.ExpressionAttributeValues[":next"] = "next", millis(now.Add(o.After))
	} else {
		in.UpdateExpression = aws.String("SET #s = :s, #r = :r, ended = :now, effect = :e, told = :t REMOVE lease, waits, since")
		maps.Copy(in.ExpressionAttributeValues, item{
			":now": millis(now), ":e": number(now.Sub(e.Since).Milliseconds()), ":t": text(told(e.Ref, o.State)),
		})
	}
	set := func(name string, value types.AttributeValue) {
		*in.UpdateExpression = "SET " + name + " = :" + name + ", " + strings.TrimPrefix(*in.UpdateExpression, "SET ")
		in.ExpressionAttributeValues[":"+name] = value
	}
	switch {
	case o.Forget:
		set("expires", number(now.Add(outbox.Forgotten).Unix()))
	case o.State != outbox.Due && e.Kind != outbox.Mark:
		set("expires", number(now.Add(outbox.Kept).Unix()))
	}
	if o.Held {
		set("held", millis(now))
	}
	if o.Memo != "" {
		set("memo", text(o.Memo))
		set("memoAt", millis(now))
	}
	_, err = s.client.UpdateItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		return false, cloud.Fault("dynamodb UpdateItem", err)
	}
	row := item(failed.Item)
	_, leased := row["lease"]
	switch {
	case getNumber(row, "holder") != e.Holder:
		return false, errElsewhere
	case leased:
		return true, s.release(ctx, e, o.Memo, now)
	}
	return false, nil // this very call, whose reply was lost
}

// release ends the lease of an entry that has something newer to tell. What was
// told meanwhile stays known.
func (s *Outbox) release(ctx context.Context, e *outbox.Entry, memo string, now time.Time) error {
	update, values := "REMOVE lease", item{":h": number(e.Holder)}
	if memo != "" {
		update = "SET memo = :memo, memoAt = :now REMOVE lease"
		values[":memo"], values[":now"] = text(memo), millis(now)
	}
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: outboxKey(e.Ref), UpdateExpression: &update, ConditionExpression: aws.String("holder = :h"), ExpressionAttributeValues: values,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) { // the next invocation has it
		return nil
	}
	return cloud.Fault("dynamodb UpdateItem", err)
}

// Memo implements outbox.Store, consistently.
func (s *Outbox) Memo(ctx context.Context, subjects []string, sort string) (memo string, err error) {
	var keys []item
	for _, subject := range unique(subjects) {
		keys = append(keys, item{"subject": text(subject), "entry": text(sort)})
	}
	var latest int64
	err = batchGet(ctx, s.client, s.table, keys, true, func(row item) error {
		if ended := max(1, getNumber(row, "memoAt")); getText(row, "memo") != "" && ended > latest {
			memo, latest = getText(row, "memo"), ended
		}
		return nil
	})
	return memo, err
}

// told is the partition of the index Told: what was told to whom, and apart from
// it what was not.
func told(r outbox.Ref, state outbox.State) string {
	if state == outbox.Failed || state == outbox.Unknown {
		return "failed#" + r.Name()
	}
	return string(state) + "#" + r.Name()
}

// Due implements outbox.Store.
func (s *Outbox) Due(ctx context.Context, now time.Time, limit int) ([]outbox.Ref, error) {
	list, err := s.due(ctx, waiting, now, limit)
	if err != nil || len(list) >= limit {
		return list, err
	}
	expiries, err := s.due(ctx, expiring, now, limit-len(list))
	return append(list, expiries...), err
}

func (s *Outbox) due(ctx context.Context, partition string, now time.Time, limit int) ([]outbox.Ref, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String("Waiting"),
		KeyConditionExpression:    aws.String("waits = :w AND #n <= :now"),
		ExpressionAttributeNames:  map[string]string{"#n": "next"},
		ExpressionAttributeValues: item{":w": text(partition), ":now": millis(now)},
		Limit:                     aws.Int32(int32(limit)),
	})
	var list []outbox.Ref
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items[:min(len(page.Items), limit-len(list))] {
			r, err := outbox.ParseRef(getText(row, "subject"), getText(row, "entry"))
			if err != nil {
				return nil, err
			}
			list = append(list, r)
		}
	}
	return list, nil
}

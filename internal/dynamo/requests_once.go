package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// What happens once: tokens, links, letters, counters, suppression. Whoever was
// first must know that it was, also when the reply was lost and the SDK has
// tried again: such rows keep the id of the call that made them, in "by".

// PutToken implements request.Store. It is a Conflict for a run that the request
// has left behind, and once the request is forgotten.
func (s *Requests) PutToken(ctx context.Context, id string, t request.Token) error {
	row := bodyRow(id, tokenPrefix+string(t.Wait), t)
	check := &types.ConditionCheck{
		TableName: &s.table, Key: requestRow(id, requestSort),
		ConditionExpression:       aws.String("epoch <= :e AND attribute_not_exists(forgotten)"),
		ExpressionAttributeValues: item{":e": number(int64(t.Epoch))},
	}
	return transact(ctx, s.client, s.onceOf(row), []types.TransactWriteItem{{ConditionCheck: check}, s.put(row)})
}

// Delivered implements request.Store; NotFound without a decision.
func (s *Requests) Delivered(ctx context.Context, id string, w request.Wait, at time.Time) error {
	return s.mark(ctx, requestRow(id, decisionPrefix+string(w)), "SET delivered = :at", item{":at": instant(at)})
}

// Link implements request.Store.
func (s *Requests) Link(ctx context.Context, hash string) (*request.Link, error) {
	if !requestID(hash) {
		return nil, errNoLink()
	}
	l, err := rowOf(ctx, s, linkRow(hash), decodeLink)
	if err == nil && l == nil {
		return nil, errNoLink()
	}
	return l, err
}

func errNoLink() error { return errs.New(errs.NotFound, "the link does not exist") }

func decodeLink(row item, l *request.Link) error {
	err := getBody(row, l)
	l.Used, l.Result = getInstant(row, "used"), getText(row, "result")
	return err
}

// PutLink implements request.Store. With the link goes a row in the request's
// partition, by which Forget finds it. Repeating it changes nothing; another
// link with the hash is a Conflict.
func (s *Requests) PutLink(ctx context.Context, l request.Link) error {
	row := linkRow(l.Hash)
	row.setInstant("used", l.Used)
	row.setText("result", l.Result)
	l.Used, l.Result = time.Time{}, ""
	row.setBody(l)
	link := s.put(row)
	link.Put.ConditionExpression = aws.String("attribute_not_exists(body) OR body = :b AND attribute_not_exists(used)")
	link.Put.ExpressionAttributeValues = item{":b": row["body"]}
	return transact(ctx, s.client, s.onceOf(row), []types.TransactWriteItem{link, s.put(requestRow(l.Request, linkRefPrefix+l.Hash))})
}

// UseLink implements request.Store; NotFound for a link that does not exist.
func (s *Requests) UseLink(ctx context.Context, hash, result string, at time.Time) (first string, used bool, err error) {
	var old item
	in := &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: linkRow(hash),
		UpdateExpression:                    aws.String("SET used = :at, #r = :r, #b = :by"),
		ConditionExpression:                 aws.String("attribute_exists(body) AND (attribute_not_exists(used) OR #b = :by)"),
		ExpressionAttributeNames:            map[string]string{"#r": "result", "#b": "by"},
		ExpressionAttributeValues:           item{":at": instant(at), ":r": text(result), ":by": text(s.newID(s.now()))},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	err = alone(ctx, "dynamodb UpdateItem", func() error {
		_, err := s.client.UpdateItem(ctx, in)
		var failed *types.ConditionalCheckFailedException
		if errors.As(err, &failed) {
			old = failed.Item
		}
		return err
	})
	switch {
	case err == nil:
		return result, true, nil
	case err != errCondition:
		return "", false, err
	case old["used"] == nil:
		return "", false, errNoLink()
	}
	return getText(old, "result"), false, nil
}

// PutMail implements request.Store.
func (s *Requests) PutMail(ctx context.Context, id string, m request.Mail) error {
	row := encodeMail(id, m)
	row["by"] = text(s.newID(s.now()))
	err := alone(ctx, "dynamodb PutItem", func() error {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.table, Item: row,
			ConditionExpression:       aws.String("attribute_not_exists(body) OR #b = :by"),
			ExpressionAttributeNames:  map[string]string{"#b": "by"},
			ExpressionAttributeValues: item{":by": row["by"]},
		})
		return err
	})
	if err == errCondition {
		return errs.New(errs.Conflict, "this letter has been taken in hand already")
	}
	return err
}

func encodeMail(id string, m request.Mail) item {
	body := m
	body.Sent, body.Message = time.Time{}, ""
	row := bodyRow(id, mailPrefix+m.Key, body)
	row.setInstant("sent", m.Sent)
	row.setText("messageId", m.Message)
	return row
}

func decodeMail(row item, m *request.Mail) error {
	err := getBody(row, m)
	m.Sent, m.Message = getInstant(row, "sent"), getText(row, "messageId")
	return err
}

// Sent implements request.Store; NotFound without an intent.
func (s *Requests) Sent(ctx context.Context, id, key, message string, at time.Time) error {
	return s.mark(ctx, requestRow(id, mailPrefix+key), "SET sent = :at, messageId = :m", item{":at": instant(at), ":m": text(message)})
}

// mark adds to a row that exists. Repeating it changes nothing.
func (s *Requests) mark(ctx context.Context, key item, update string, values item) error {
	err := alone(ctx, "dynamodb UpdateItem", func() error {
		_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.table, Key: key, UpdateExpression: &update,
			ConditionExpression: aws.String("attribute_exists(body)"), ExpressionAttributeValues: values,
		})
		return err
	})
	if err == errCondition {
		return errs.New(errs.NotFound, "what is to be marked does not exist")
	}
	return err
}

// Count implements request.Store. A reply that is lost may count twice: such a
// limit then comes one early.
func (s *Requests) Count(ctx context.Context, name string, expires time.Time) (int, error) {
	// DynamoDB deletes what has expired days late (expires, in seconds, is its
	// TTL attribute), so a counter of before is begun anew here.
	values := item{
		":e": number(expires.Add(time.Second - 1).Unix()), ":u": millis(expires), ":one": number(1), ":now": millis(s.now()),
	}
	for range batchAttempts {
		n, err := s.count(ctx, name, values,
			"SET expires = if_not_exists(expires, :e), #u = if_not_exists(#u, :u) ADD #n :one", "attribute_not_exists(#u) OR #u > :now")
		if err == errCondition {
			n, err = s.count(ctx, name, values, "SET expires = :e, #u = :u, #n = :one", "#u <= :now")
		}
		if err != errCondition { // else another one has begun it anew meanwhile
			return n, err
		}
	}
	return 0, errs.New(errs.Unavailable, "dynamodb UpdateItem: a counter changes too fast")
}

// Uncount implements request.Store.
func (s *Requests) Uncount(ctx context.Context, name string) error {
	_, err := s.count(ctx, name, item{":minus": number(-1), ":now": millis(s.now())}, "ADD #n :minus", "#u > :now")
	if err == errCondition {
		return nil
	}
	return err
}

func (s *Requests) count(ctx context.Context, name string, values item, update, condition string) (n int, err error) {
	in := &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: counterRow(name), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames:  map[string]string{"#n": "count", "#u": "until"},
		ExpressionAttributeValues: values, ReturnValues: types.ReturnValueUpdatedNew,
	}
	err = alone(ctx, "dynamodb UpdateItem", func() error {
		out, err := s.client.UpdateItem(ctx, in)
		if err == nil {
			n = int(getNumber(out.Attributes, "count"))
		}
		return err
	})
	return n, err
}

// Suppress implements request.Store. The last reason stays.
func (s *Requests) Suppress(ctx context.Context, address, reason string, at time.Time) error {
	row := suppressedRow(address)
	row["reason"], row["at"] = text(reason), instant(at)
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: row})
	return cloud.Fault("dynamodb PutItem", err)
}

// Suppressed implements request.Store.
func (s *Requests) Suppressed(ctx context.Context, address string) (bool, error) {
	row, err := s.get(ctx, suppressedRow(address))
	return row != nil, err
}

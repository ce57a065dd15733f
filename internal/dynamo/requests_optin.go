package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/optin"
)

var _ optin.Store = (*Requests)(nil)

// askedKept is how long the row about a message outlives the time in which it can
// be answered.
const askedKept = 7 * 24 * time.Hour

// storedAsked is the body of such a row.
type storedAsked struct {
	Until   time.Time     `json:"u"`
	Message storedMessage `json:"m"`
}

// Asked implements optin.Store.
func (s *Requests) Asked(ctx context.Context, id string) (*optin.Asked, error) {
	row, err := s.get(ctx, askedRow(id))
	if err != nil || row == nil {
		return nil, err
	}
	var body storedAsked
	if err := getBody(row, &body); err != nil {
		return nil, err
	}
	a := &optin.Asked{
		ID: id, State: optin.State(getText(row, "state")), At: getInstant(row, "at"), Until: body.Until,
		Message: body.Message.decode(),
	}
	a.Message.IDs = getList(row, "ids")
	return a, nil
}

// PutAsked implements optin.Store.
func (s *Requests) PutAsked(ctx context.Context, a *optin.Asked) error {
	row := askedRow(a.ID)
	row.setJSON("body", storedAsked{a.Until.UTC(), encodeMessage(&a.Message)})
	row["state"], row["at"] = text(string(a.State)), instant(a.At)
	row["expires"] = number(a.Until.Add(askedKept).Unix())
	row["by"] = text(s.newID(s.now())) // tells this call's own repetition from another's
	err := alone(ctx, "dynamodb PutItem", func() error {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.table, Item: row,
			ConditionExpression:       aws.String("attribute_not_exists(body) OR #s = :again OR #b = :by"),
			ExpressionAttributeNames:  map[string]string{"#s": "state", "#b": "by"},
			ExpressionAttributeValues: item{":again": text(string(optin.NotTaken)), ":by": row["by"]},
		})
		return err
	})
	if err == errCondition {
		return errs.New(errs.Conflict, "this message has been taken in hand already")
	}
	return err
}

// SettleAsked implements optin.Store.
func (s *Requests) SettleAsked(ctx context.Context, id string, state optin.State, ids []string) error {
	update, values := "SET #s = :s", item{":s": text(string(state)), ":sending": text(string(optin.Sending))}
	if len(ids) > 0 {
		update += ", ids = :i"
		values[":i"] = texts(ids)
	}
	err := alone(ctx, "dynamodb UpdateItem", func() error {
		_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.table, Key: askedRow(id), UpdateExpression: &update,
			ConditionExpression:      aws.String("#s = :sending"),
			ExpressionAttributeNames: map[string]string{"#s": "state"}, ExpressionAttributeValues: values,
		})
		return err
	})
	if err == errCondition {
		return nil
	}
	return err
}

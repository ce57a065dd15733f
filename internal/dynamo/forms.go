package dynamo

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
)

// Forms knows the forms that were shown.
type Forms struct {
	client *client
	table  string
}

var _ consent.Forms = (*Forms)(nil)

// NewForms returns the forms in the given table.
func NewForms(cfg aws.Config, table string) *Forms {
	return &Forms{client: newClient(cfg), table: table}
}

// Show implements consent.Forms. The row keeps the first two subjects that were
// shown the form: two of them make it shared, for good, and the condition then
// fails without a write.
func (s *Forms) Show(ctx context.Context, site, digest, subject, nonce string) (consent.FormState, error) {
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &s.table,
		Key:                 item{"form": text(formKey(site, digest))},
		UpdateExpression:    aws.String("SET nonce = if_not_exists(nonce, :n) ADD shownTo :s"),
		ConditionExpression: aws.String("attribute_not_exists(shownTo) OR size(shownTo) < :two"),
		ExpressionAttributeValues: item{
			":n":   text(nonce),
			":s":   &types.AttributeValueMemberSS{Value: []string{subject}},
			":two": number(2),
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return formState(failed.Item), nil
	case err != nil:
		return consent.FormState{}, cloud.Fault("dynamodb UpdateItem", err)
	}
	return formState(out.Attributes), nil
}

func formState(r item) consent.FormState {
	return consent.FormState{
		Nonce:  getText(r, "nonce"),
		Stored: getBool(r, "stored"),
		Shared: len(getList(r, "shownTo")) > 1,
	}
}

// MarkStored records that an event names the object of a form, unless the form
// has been shown under another nonce since. Repeating it changes nothing.
func (s *Forms) MarkStored(ctx context.Context, site, digest, nonce string) error {
	return markOnce(ctx, s.client, s.table, item{"form": text(formKey(site, digest))},
		"stored", "nonce = :v", item{":v": text(nonce)})
}

// Form reads what is known of a form consistently; nil when there is nothing.
func (s *Forms) Form(ctx context.Context, site, digest string) (*consent.Form, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), Key: item{"form": text(formKey(site, digest))},
	})
	if err != nil || out.Item == nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	return &consent.Form{Site: site, Digest: digest, Nonce: getText(out.Item, "nonce"), ShownTo: getList(out.Item, "shownTo")}, nil
}

// Forget removes what is known of a form, unless it has changed since f was
// read: then somebody else was shown it meanwhile, and removed is false. The
// next one who is shown the form makes a new row with another nonce.
func (s *Forms) Forget(ctx context.Context, f *consent.Form) (removed bool, err error) {
	return deleteIf(ctx, s.client, s.table, item{"form": text(formKey(f.Site, f.Digest))},
		"nonce = :n AND shownTo = :s", item{":n": text(f.Nonce), ":s": &types.AttributeValueMemberSS{Value: f.ShownTo}})
}

// deleteIf removes a row under a condition. A row that does not exist any more
// counts as removed.
func deleteIf(ctx context.Context, client *client, table string, key item, condition string, values item) (bool, error) {
	_, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &table, Key: key, ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return failed.Item == nil, nil
	}
	return err == nil, cloud.Fault("dynamodb DeleteItem", err)
}

// markOnce sets a flag of an existing row, unless it is set.
func markOnce(ctx context.Context, client *client, table string, key item, flag, condition string, values item) error {
	values[":true"] = &types.AttributeValueMemberBOOL{Value: true}
	_, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &table,
		Key:                       key,
		UpdateExpression:          aws.String("SET #f = :true"),
		ConditionExpression:       aws.String(condition + " AND attribute_not_exists(#f)"),
		ExpressionAttributeNames:  map[string]string{"#f": flag},
		ExpressionAttributeValues: values,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return cloud.Fault("dynamodb UpdateItem", err)
}

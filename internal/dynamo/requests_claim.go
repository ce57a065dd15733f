package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
)

// Claim puts a value under a name, once: whoever comes later gets the first one.
// So does a repetition whose reply was lost. The row goes some time after it
// expires.
func (s *Requests) Claim(ctx context.Context, name, value string, expires time.Time) (first string, err error) {
	row := claimRow(name)
	row["value"], row["expires"] = text(value), number(expires.Add(time.Second-1).Unix())
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: row,
		ConditionExpression:                 aws.String("attribute_not_exists(#v)"),
		ExpressionAttributeNames:            map[string]string{"#v": "value"},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return getText(failed.Item, "value"), nil
	}
	return value, cloud.Fault("dynamodb PutItem", err)
}

package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/cloud"
)

// client is the part of DynamoDB's client that the stores use, which keeps the rest
// out of every function (cloud.Call).
type client struct {
	GetItem            cloud.Call[dynamodb.GetItemInput, dynamodb.GetItemOutput, dynamodb.Options]
	PutItem            cloud.Call[dynamodb.PutItemInput, dynamodb.PutItemOutput, dynamodb.Options]
	UpdateItem         cloud.Call[dynamodb.UpdateItemInput, dynamodb.UpdateItemOutput, dynamodb.Options]
	DeleteItem         cloud.Call[dynamodb.DeleteItemInput, dynamodb.DeleteItemOutput, dynamodb.Options]
	BatchGetItem       cloud.Call[dynamodb.BatchGetItemInput, dynamodb.BatchGetItemOutput, dynamodb.Options]
	BatchWriteItem     cloud.Call[dynamodb.BatchWriteItemInput, dynamodb.BatchWriteItemOutput, dynamodb.Options]
	TransactWriteItems cloud.Call[dynamodb.TransactWriteItemsInput, dynamodb.TransactWriteItemsOutput, dynamodb.Options]

	query cloud.Call[dynamodb.QueryInput, dynamodb.QueryOutput, dynamodb.Options]
	scan  cloud.Call[dynamodb.ScanInput, dynamodb.ScanOutput, dynamodb.Options]
}

func newClient(cfg aws.Config) *client {
	c := dynamodb.NewFromConfig(cfg)
	return &client{
		GetItem: c.GetItem, PutItem: c.PutItem, UpdateItem: c.UpdateItem, DeleteItem: c.DeleteItem,
		BatchGetItem: c.BatchGetItem, BatchWriteItem: c.BatchWriteItem, TransactWriteItems: c.TransactWriteItems,
		query: c.Query, scan: c.Scan,
	}
}

// Query implements dynamodb.QueryAPIClient, for paginators.
func (c *client) Query(ctx context.Context, in *dynamodb.QueryInput, options ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return c.query(ctx, in, options...)
}

// Scan implements dynamodb.ScanAPIClient, for paginators.
func (c *client) Scan(ctx context.Context, in *dynamodb.ScanInput, options ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	return c.scan(ctx, in, options...)
}

package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/keys"
)

// Keys keeps the hashes of API keys.
type Keys struct {
	client *client
	table  string
}

var _ keys.Store = (*Keys)(nil)

// NewKeys returns the keys in the given table.
func NewKeys(cfg aws.Config, table string) *Keys {
	return &Keys{client: newClient(cfg), table: table}
}

// Key implements keys.Store.
func (s *Keys) Key(ctx context.Context, hash string) (keys.Key, bool, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		ConsistentRead: aws.Bool(true),
		Key:            item{"key": text(hash)},
	})
	if err != nil || out.Item == nil {
		return keys.Key{}, false, cloud.Fault("dynamodb GetItem", err)
	}
	return decodeKey(out.Item), true, nil
}

func decodeKey(r item) keys.Key {
	return keys.Key{
		Hash:    getText(r, "key"),
		Site:    getText(r, "site"),
		Class:   keys.Class(getText(r, "class")),
		Label:   getText(r, "label"),
		Person:  getText(r, "person"),
		Rank:    keys.Rank(getText(r, "rank")),
		Origins: getList(r, "origins"),
		Created: getTime(r, "created"),
		Revoked: getBool(r, "revoked"),
	}
}

// Create puts a key; another one with its hash is a Conflict.
func (s *Keys) Create(ctx context.Context, k keys.Key) error {
	return putNew(ctx, s.client, s.table, "key", encodeKey(k))
}

func encodeKey(k keys.Key) item {
	row := item{
		"key": text(k.Hash), "site": text(k.Site), "class": text(string(k.Class)),
		"created": millis(k.Created),
	}
	row.setText("label", k.Label)
	row.setText("person", k.Person)
	row.setText("rank", string(k.Rank))
	row.setList("origins", k.Origins)
	return row
}

// List reads every key of a site from an index, which may lag.
func (s *Keys) List(ctx context.Context, siteID string) ([]keys.Key, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String("BySite"),
		KeyConditionExpression:    aws.String("site = :s"),
		ExpressionAttributeValues: item{":s": text(siteID)},
	})
	var list []keys.Key
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			list = append(list, decodeKey(row))
		}
	}
	return list, nil
}

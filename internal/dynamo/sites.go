package dynamo

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/site"
)

// Sites keeps what is set for a site.
type Sites struct {
	client *client
	table  string
}

// NewSites returns the sites in the given table.
func NewSites(cfg aws.Config, table string) *Sites {
	return &Sites{client: newClient(cfg), table: table}
}

// Site reads a site consistently. A site that does not exist is NotFound.
func (s *Sites) Site(ctx context.Context, id string) (*site.Site, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		ConsistentRead: aws.Bool(true),
		Key:            item{"site": text(id)},
	})
	if err != nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	if out.Item == nil {
		return nil, errs.New(errs.NotFound, "the site does not exist")
	}
	found := &site.Site{
		ID:              getText(out.Item, "site"),
		Name:            getText(out.Item, "name"),
		Shards:          int(getNumber(out.Item, "shards")),
		RegisterVersion: int(getNumber(out.Item, "registerVersion")),
		Months:          slices.Sorted(slices.Values(getList(out.Item, "months"))),
	}
	if err := errors.Join(
		getJSON(out.Item, "settings", &found.Settings),
		getJSON(out.Item, "register", &found.Register),
		getJSON(out.Item, "tokenKeys", &found.TokenKeys),
	); err != nil {
		return nil, errs.New(errs.Internal, "the site cannot be read")
	}
	return found, nil
}

// IDs are the ids of all sites.
func (s *Sites) IDs(ctx context.Context) ([]string, error) {
	pages := dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{TableName: &s.table, ProjectionExpression: aws.String("site")})
	var ids []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Scan", err)
		}
		for _, row := range page.Items {
			ids = append(ids, getText(row, "site"))
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Create puts a new site; another one with its id is a Conflict.
func (s *Sites) Create(ctx context.Context, n *site.Site) error {
	return putNew(ctx, s.client, s.table, "site", encodeSite(n))
}

func encodeSite(n *site.Site) item {
	row := item{
		"site":            text(n.ID),
		"name":            text(n.Name),
		"shards":          number(int64(n.Shards)),
		"registerVersion": number(int64(n.RegisterVersion)),
	}
	row.setJSON("settings", n.Settings)
	row.setJSON("register", n.Register)
	row.setJSON("tokenKeys", n.TokenKeys)
	return row
}

// putNew puts a row that no other may have the key of. When the same row is
// there already, a lost reply of this very call has been tried again.
func putNew(ctx context.Context, client *client, table, key string, row item) error {
	_, err := client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &table, Item: row,
		ConditionExpression:                 aws.String("attribute_not_exists(#k)"),
		ExpressionAttributeNames:            map[string]string{"#k": key},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) && reflect.DeepEqual(item(failed.Item), row) {
		return nil
	}
	return conflict(err, "dynamodb PutItem", "one with this "+key+" exists already")
}

// PutRegister replaces the register of a site if it still has the version that
// the caller read, and returns the new version.
func (s *Sites) PutRegister(ctx context.Context, id string, register []site.Purpose, version int) (int, error) {
	row := item{"registerVersion": number(int64(version + 1))}
	row.setJSON("register", register)
	return version + 1, s.change(ctx, &dynamodb.UpdateItemInput{
		Key:                       item{"site": text(id)},
		UpdateExpression:          aws.String("SET #r = :r, registerVersion = :next"),
		ConditionExpression:       aws.String("registerVersion = :v"),
		ExpressionAttributeNames:  map[string]string{"#r": "register"},
		ExpressionAttributeValues: item{":r": row["register"], ":next": row["registerVersion"], ":v": number(int64(version))},
	}, row, "the register has changed since it was read: read it again")
}

// PutTokenKeys replaces the token keys of a site if they are still those that the
// caller read.
func (s *Sites) PutTokenKeys(ctx context.Context, id string, read, keys []site.TokenKey) error {
	before, after := item{}, item{}
	before.setJSON("tokenKeys", read)
	after.setJSON("tokenKeys", keys)
	return s.change(ctx, &dynamodb.UpdateItemInput{
		Key:                       item{"site": text(id)},
		UpdateExpression:          aws.String("SET tokenKeys = :after"),
		ConditionExpression:       aws.String("tokenKeys = :before"),
		ExpressionAttributeValues: item{":before": before["tokenKeys"], ":after": after["tokenKeys"]},
	}, after, "the site's token keys have changed since they were read: try again")
}

// change updates a site under the condition that it is what the caller has read;
// else the error is a Conflict that says message. A row that has the values of
// after already was changed by this very call, whose reply was lost.
func (s *Sites) change(ctx context.Context, in *dynamodb.UpdateItemInput, after item, message string) error {
	in.TableName, in.ReturnValuesOnConditionCheckFailure = &s.table, types.ReturnValuesOnConditionCheckFailureAllOld
	_, err := s.client.UpdateItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) && len(failed.Item) > 0 {
		now := item{}
		for name := range after {
			now[name] = failed.Item[name]
		}
		if reflect.DeepEqual(now, after) {
			return nil
		}
	}
	return conflict(err, "dynamodb UpdateItem", message)
}

// AddMonth records that a month ("2026-02") holds consents. Repeating it
// changes nothing.
func (s *Sites) AddMonth(ctx context.Context, id, month string) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &s.table,
		Key:                 item{"site": text(id)},
		UpdateExpression:    aws.String("ADD months :m"),
		ConditionExpression: aws.String("attribute_exists(site) AND NOT contains(months, :month)"),
		ExpressionAttributeValues: item{
			":m": &types.AttributeValueMemberSS{Value: []string{month}}, ":month": text(month),
		},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return cloud.Fault("dynamodb UpdateItem", err)
}

// conflict translates a failed condition.
func conflict(err error, operation, message string) error {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return errs.New(errs.Conflict, "%s", message)
	}
	return cloud.Fault(operation, err)
}

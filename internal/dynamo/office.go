package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/site"
)

// Office keeps the log of administrators, and writes sites and keys with it.
type Office struct {
	client *client
	audit  string
	keys   *Keys
	sites  *Sites
}

var _ office.Store = (*Office)(nil)

// NewOffice returns the office over the tables of its log, of keys and of sites.
func NewOffice(cfg aws.Config, audit, keyTable, siteTable string) *Office {
	return &Office{client: newClient(cfg), audit: audit, keys: NewKeys(cfg, keyTable), sites: NewSites(cfg, siteTable)}
}

// Key implements office.Store.
func (o *Office) Key(ctx context.Context, hash string) (keys.Key, bool, error) {
	return o.keys.Key(ctx, hash)
}

// Keys implements office.Store.
func (o *Office) Keys(ctx context.Context, site string) ([]keys.Key, error) {
	return o.keys.List(ctx, site)
}

// Site implements office.Store.
func (o *Office) Site(ctx context.Context, id string) (*site.Site, error) {
	return o.sites.Site(ctx, id)
}

// fresh puts a row whose key no other has.
func fresh(table, key string, row item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &table, Item: row,
		ConditionExpression:      aws.String("attribute_not_exists(#k)"),
		ExpressionAttributeNames: map[string]string{"#k": key},
	}}
}

// Do implements office.Store.
func (o *Office) Do(ctx context.Context, c office.Change) error {
	writes := []types.TransactWriteItem{fresh(o.audit, "id", encodeAct(c.Entry))}
	if c.Once != nil {
		row := onceRow(c.Entry.Site, c.Once.Key)
		row["stated"], row["made"] = text(c.Once.Stated), text(c.Once.Made)
		writes = append(writes, fresh(o.audit, "id", row))
	}
	if c.Site != nil {
		writes = append(writes, fresh(o.sites.table, "site", encodeSite(c.Site)))
	}
	if c.Key != nil {
		writes = append(writes, fresh(o.keys.table, "key", encodeKey(*c.Key)))
	}
	if c.Settings != nil {
		row := item{}
		row.setJSON("settings", *c.Settings)
		writes = append(writes, types.TransactWriteItem{Update: &types.Update{
			TableName: &o.sites.table, Key: item{"site": text(c.Entry.Site)},
			UpdateExpression:          aws.String("SET settings = :s"),
			ConditionExpression:       aws.String("attribute_exists(site)"),
			ExpressionAttributeValues: item{":s": row["settings"]},
		}})
	}
	if c.Revoke != "" {
		writes = append(writes, types.TransactWriteItem{Update: &types.Update{
			TableName: &o.keys.table, Key: item{"key": text(c.Revoke)},
			UpdateExpression:          aws.String("SET revoked = :true"),
			ConditionExpression:       aws.String("site = :s AND attribute_not_exists(revoked)"),
			ExpressionAttributeValues: item{":true": &types.AttributeValueMemberBOOL{Value: true}, ":s": text(c.Entry.Site)},
		}})
	}
	for i, hash := range []string{c.By, c.Live} {
		if hash == "" || hash == c.Revoke || i == 1 && hash == c.By { // one row, one condition
			continue
		}
		writes = append(writes, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &o.keys.table, Key: item{"key": text(hash)},
			ConditionExpression:       aws.String("#r = :admin AND attribute_not_exists(revoked)"),
			ExpressionAttributeNames:  map[string]string{"#r": "rank"},
			ExpressionAttributeValues: item{":admin": text(string(keys.Admin))},
		}})
	}
	return transact(ctx, o.client, c.Entry.ID, writes)
}

func encodeAct(e office.Entry) item {
	row := item{"site": text(e.Site), "id": text(e.ID), "at": instant(e.At), "who": text(e.Who), "role": text(e.Role), "act": text(string(e.Act))}
	row.setJSON("detail", e.Detail)
	return row
}

// onceRow is the key of what an idempotency key was used for. It comes after
// every entry, whose id begins with a hexadecimal digit.
func onceRow(site, key string) item {
	return item{"site": text(site), "id": text(afterConsents + "once#" + key)}
}

// Once implements office.Store.
func (o *Office) Once(ctx context.Context, site, key string) (*office.Once, error) {
	out, err := o.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &o.audit, ConsistentRead: aws.Bool(true), Key: onceRow(site, key)})
	if err != nil || out.Item == nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	return &office.Once{Key: key, Stated: getText(out.Item, "stated"), Made: getText(out.Item, "made")}, nil
}

// Log implements office.Store.
func (o *Office) Log(ctx context.Context, site, before string, limit int) ([]office.Entry, error) {
	if before == "" {
		before = afterConsents
	}
	out, err := o.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &o.audit, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("site = :s AND id < :b"),
		ExpressionAttributeValues: item{":s": text(site), ":b": text(before)},
	})
	if err != nil {
		return nil, cloud.Fault("dynamodb Query", err)
	}
	var list []office.Entry
	for _, row := range out.Items {
		e := office.Entry{
			Site: site, ID: getText(row, "id"), At: getInstant(row, "at"), Who: getText(row, "who"), Role: getText(row, "role"),
			Act: office.Action(getText(row, "act")),
		}
		if err := getJSON(row, "detail", &e.Detail); err != nil {
			return nil, errs.New(errs.Internal, "an entry of the office cannot be read")
		}
		list = append(list, e)
	}
	return list, nil
}

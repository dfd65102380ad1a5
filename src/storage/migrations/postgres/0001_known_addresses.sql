CREATE TABLE "known_addresses" (
	"account_id" text NOT NULL,
	"subnet" text NOT NULL,
	"last_at" bigint NOT NULL,
	CONSTRAINT "known_addresses_account_id_subnet_pk" PRIMARY KEY("account_id","subnet")
);
--> statement-breakpoint
ALTER TABLE "known_addresses" ADD CONSTRAINT "known_addresses_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;
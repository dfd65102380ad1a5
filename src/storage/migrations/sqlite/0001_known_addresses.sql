CREATE TABLE `known_addresses` (
	`account_id` text NOT NULL,
	`subnet` text NOT NULL,
	`last_at` integer NOT NULL,
	PRIMARY KEY(`account_id`, `subnet`),
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
